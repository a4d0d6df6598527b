"""Full disks, corrupt files, dangerous keys: a clear word, and nothing lost."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon import health as health_page
from daemon.deadman import may_ping
from daemon.health import health, live, ready
from daemon.telling import remind
from daemon.workers import verify_keys
from exchanges.collection import collect_snapshot
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import OPEN_KEY, TRADING_KEY, UNKNOWN_WORD_KEY, WITHDRAWING_KEY
from market import failpoints
from market.errors import ExchangeRefused
from store.advice import read_advice
from store.change_set import ChangeSet
from store.decision_files import decision_path
from store.exit_files import told_notices
from store.paths import SnapshotName
from store.snapshots import encode_snapshot
from tests.cycle.house import START, assert_sound, house, recomputed, with_key
from tests.cycle.test_decisions import LOOSE, run_grid


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


def full():
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "place",
    [
        "writer.before_intent",
        "writer.after_intent",
        "writer.before_write",
        "writer.before_fsync",
        "writer.before_rename",
        "writer.between_renames",
        "writer.after_rename",
        "writer.before_commit",
    ],
)
async def test_a_full_disk_costs_a_delay_and_nothing_else(tmp_path, place):
    """ENOSPC at any write: the hour is judged when there is room again, and told all the while."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        failpoints.arm(place, full)
        await there.hour(START.plus(2))
        git = health(there.app)["checks"]["git"]
        assert git["status"] == "fail"
        assert "No space left on device" in git["output"]
        assert live(there.app) == (True, [])  # a restart makes no room
        assert ready(there.app)[0]
        failpoints.disarm()
        await there.hour(START.plus(3))
        await there.app.store.flush()
        assert len(there.judged()) == 4
        assert there.state().trouble is None
        assert health(there.app)["checks"]["git"]["status"] != "fail"
    assert_sound(tmp_path)


async def test_housekeeping_with_nothing_to_do_does_not_hide_a_full_disk(tmp_path):
    """Nothing waits for a commit, so none fails; that nothing can be written is said until something is."""
    async with house(tmp_path) as there:
        await there.hour(START)
        failpoints.arm("writer.before_write", full)
        await there.hour(START.plus(1))
        await there.app.store.flush()
        assert health(there.app)["status"] == "fail"
        assert not may_ping(there.app)[0]
        assert there.app.metrics.registry.get_sample_value("regimed_git_commit_failing") == 1
        failpoints.disarm()
        await there.hour(START.plus(2))
        assert health(there.app)["checks"]["git"]["status"] == "pass"


@pytest.mark.parametrize(("free", "status"), [(99, "fail"), (101, "warn"), (50_000, "pass")])
async def test_a_disk_without_room_fails_before_the_next_hour_finds_out(tmp_path, monkeypatch, free, status):
    """Below 100 MB the page fails, as RegimedDiskFull does; neither probe of Kubernetes turns."""
    usage = type(shutil.disk_usage("/"))(100 * 10**9, 0, free * 10**6)
    async with house(tmp_path) as there:
        await there.hour(START)
        monkeypatch.setattr(health_page.shutil, "disk_usage", lambda _: usage)
        assert health(there.app)["checks"]["disk"]["status"] == status
        assert live(there.app) == (True, [])
        assert ready(there.app)[0]


async def test_a_failing_commit_tells_the_operator_anyway(tmp_path):
    """Record, then tell; if recording fails, tell anyway, marked unrecorded, and health fails."""
    async with house(tmp_path) as there:
        await there.hour(START)
        there.state().told = None  # so that the next hour has something to say
        failpoints.arm("writer.before_commit", full)
        await there.hour(START.plus(1))
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert any("NOT RECORDED" in text for text in told)
        page = health(there.app)
        assert page["status"] == "fail"
        assert "commits fail" in page["checks"]["git"]["output"]
        failpoints.disarm()
        await there.hour(START.plus(2))
        assert health(there.app)["checks"]["git"]["status"] == "pass"
    assert_sound(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data.replace(b'"close":[', b'"close":[1,', 1)]
)
async def test_a_corrupt_snapshot_is_quarantined_fetched_anew_and_stops_nobody(tmp_path, damage):
    """Truncated or altered on disk: named on /health, kept with the reason, other markets go on."""
    async with house(tmp_path, markets=2) as there:
        await there.hours(START, 3)
    victim = tmp_path / "data" / "snapshots" / "ETH-USDT" / f"{START.plus(1).opens_at:%Y/%m/%d/%H}.json"
    victim.write_bytes(damage(victim.read_bytes()))
    async with house(tmp_path, markets=2, start=START.plus(3)) as there:
        await there.attend()
        assert there.state("BTC-USDT").newest == START.plus(3)
        assert there.state("ETH-USDT").newest == START.plus(3)
        shown = health(there.app)["checks"]["git"]
        assert victim.name in shown["output"]
        assert "quarantine" in shown["output"]
        assert list((tmp_path / "data" / "quarantine").rglob("*"))
        await there.app.store.flush()


@pytest.mark.parametrize(
    ("key", "words"),
    [(WITHDRAWING_KEY, "Transfer"), (OPEN_KEY, "whitelist"), (UNKNOWN_WORD_KEY, "Teleport")],
)
async def test_a_dangerous_key_stops_the_program(tmp_path, key, words):
    """A key that can withdraw, has no whitelist or an unknown right is refused before any other call."""
    with pytest.raises(ExchangeRefused, match=words):
        async with house(tmp_path, exchange=with_key(tmp_path, key)) as there:
            await verify_keys(there.app)


async def test_a_trading_key_brings_the_account_into_the_snapshot(tmp_path):
    """Balances and open orders, only with keys, only when fresh."""
    rich = {"total_quote": 1e12}
    async with house(tmp_path, exchange=with_key(tmp_path, TRADING_KEY), capital=rich) as there:
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "verified"
        await there.hour(START)
        snapshot = await there.app.store.load_snapshot("ETH-USDT", START)
        assert {balance["currency"] for balance in snapshot.account.balances} >= {"USDT"}
        decision = read_advice(there.app.store.root, there.metrics(START)["decisions"][0])
        (capital,) = [check for check in decision.file.checks if check.name == "capital"]
        assert "of the balances on the exchange" in capital.reason


async def test_an_unreachable_exchange_means_market_data_only(tmp_path):
    """The key cannot be checked: signed calls stay off, health warns."""
    async with house(tmp_path, exchange=with_key(tmp_path, TRADING_KEY)) as there:
        there.sandbox.script.add(Fault(kind="disconnect", endpoint="/api/v1/user/api-key"))
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "unverified"
        assert health(there.app)["checks"]["exchange:sandbox"]["status"] == "warn"


async def test_a_clock_that_is_off_turns_signed_calls_off_and_does_not_end_the_program(tmp_path):
    """Above five seconds nothing is signed; market data goes on, health says why."""
    async with house(
        tmp_path, exchange=with_key(tmp_path, TRADING_KEY), faults=[Fault(kind="clock_skew", seconds=8)]
    ) as there:
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "unverified"
        await there.hour(START)
        assert there.state().newest == START


async def test_the_clock_being_off_is_said(tmp_path):
    """pains 9: above one second health warns."""
    async with house(tmp_path, faults=[Fault(kind="clock_skew", seconds=-3)]) as there:
        await there.hour(START)
        check = health(there.app)["checks"]["exchange:sandbox"]
        assert check["status"] == "warn"
        assert "check NTP" in check["output"]


async def test_a_damaged_judgement_comes_back_from_the_history(tmp_path):
    """An hour is judged once: what the history holds is the judgement, and the chain goes on from it."""
    async with house(tmp_path) as there:
        await there.hours(START, 3)
    victim = tmp_path / "data" / "metrics" / "ETH-USDT" / f"{START.plus(2).opens_at:%Y-%m-%d-%H}.yaml"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:200])
    async with house(tmp_path, start=START.plus(3)) as there:
        await there.attend()
        assert victim.read_bytes() == whole
        assert there.state().newest == START.plus(3)
    assert_sound(tmp_path)


async def test_a_start_shows_a_damaged_newest_hour_as_the_history_has_it(tmp_path):
    """Nothing waits for the next hour: the judgement, its advice and its reminders are in force at once."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        facts = there.state().facts
    assert facts.advice
    data = tmp_path / "data"
    newest = START.plus(1).opens_at
    record = data / "metrics" / "ETH-USDT" / f"{newest:%Y-%m-%d-%H}.yaml"
    for victim in (record, data / decision_path(facts.advice[0].id)):
        whole = victim.read_bytes()
        for damaged in (whole[:-20], one_digit_changed(whole)):
            victim.write_bytes(damaged)
            async with house(tmp_path, start=START.plus(1)) as there:
                assert victim.read_bytes() == whole
                assert there.state().facts == facts
    async with house(tmp_path, start=START.plus(2)) as there:
        await there.attend()  # the next hour names what the history holds
    assert_sound(tmp_path)


def one_digit_changed(data: bytes) -> bytes:
    """Return a record that is as valid as before and says something else, as a flipped bit may leave it."""
    place = max(at for at, byte in enumerate(data) if byte in b"2345678")
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


async def test_a_commit_that_fails_before_it_is_durable_leaves_the_hour_owed(tmp_path):
    """Not even on disk is not judged: the hour is tried again, and nothing is lost."""
    calls = 0

    def full_at_the_judgement():
        nonlocal calls
        calls += 1
        if calls == 2:
            full()

    async with house(tmp_path) as there:
        await there.hours(START, 2)
        failpoints.arm("writer.before_intent", full_at_the_judgement)
        await there.hour(START.plus(2))
        await there.hour(START.plus(3))
        assert len(there.judged()) == 4
        assert there.state().owed == 0
    assert_sound(tmp_path)


async def test_a_clock_that_is_set_back_owes_nothing_twice(tmp_path):
    """A small step back stops no market."""
    async with house(tmp_path) as there:
        await there.hours(START, 3)
        there.clock.set(START.plus(2).closes_at - (START.plus(2).closes_at - START.plus(2).opens_at) / 60)
        await there.attend()
        await there.hours(START.plus(3), 2)
        assert len(there.judged()) == 5
        assert there.state().trouble is None
    assert_sound(tmp_path)


async def test_a_clock_that_runs_far_ahead_judges_no_hour_that_is_not_over(tmp_path):
    """Hours that have not happened are not recorded as empty; the operator reads why nothing comes."""
    async with house(tmp_path, faults=[Fault(kind="clock_skew", seconds=-10800)]) as there:
        await there.hour(START)
        assert there.judged() == []
        assert "check NTP" in there.state().trouble


async def test_what_was_missed_while_stopped_is_told_at_the_next_start(tmp_path):
    """The operator hears of a change even when the daemon stopped between catching up and telling."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        told = there.app.told.recall("ETH-USDT")
        assert told.hour == START.plus(1)
        await there.app.outbox.deliver()
        other = "RANGE_OK" if told.verdict != "RANGE_OK" else "TREND"
        there.app.told.keep(replace(told, verdict=other))
    async with house(tmp_path, start=START.plus(1)) as there:
        waiting = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert len(waiting) == 1
        assert f"{other} to {told.verdict}" in waiting[0]


async def test_backfill_never_changes_what_a_judged_hour_saw(tmp_path):
    """Fetched before, landed after: the stamp is the landing's, so a replay sees what the judgement saw."""
    async with house(tmp_path) as there:
        early = START.plus(-3)
        there.clock.set(START.closes_at)
        answer = await collect_snapshot(
            there.app.exchanges["sandbox"], key="ETH-USDT", symbol="ETH-USDT", hour=early,
            clock=there.clock, source="backfill", with_account=False,
        )  # fmt: skip
        fetched = answer.snapshot
        await there.hours(START, 3)
        name = SnapshotName("ETH-USDT", early, None)
        await there.app.store.write(ChangeSet({name.path: encode_snapshot(fetched)}, "[backfill] one hour"))
        landed = await there.app.store.load_snapshot("ETH-USDT", early)
        assert landed.collected_at > there.state().known_at
        assert landed.digest() == fetched.digest()
        again = recomputed(tmp_path, there.app, "ETH-USDT", [START.plus(i) for i in range(3)])
        paths = [
            tmp_path / "data" / "metrics" / "ETH-USDT" / f"{START.plus(i).opens_at:%Y-%m-%d-%H}.yaml"
            for i in range(3)
        ]
        assert again == [path.read_bytes() for path in paths]


@pytest.mark.parametrize("restarted", [False, True], ids=["while it runs", "before a start"])
async def test_a_flipped_bit_in_a_file_that_grows_is_not_committed_with_the_next_line(tmp_path, restarted):
    """What is there comes back from the history before more is added, and is told under its number."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 1)
        (grown,) = (tmp_path / "data" / "exit_states" / "ETH-USDT").glob("*.yaml")
        whole = grown.read_bytes()
        if not restarted:
            grown.write_bytes(one_digit_changed(whole))
            await reminded(there)
    if restarted:
        grown.write_bytes(one_digit_changed(whole))
        async with house(tmp_path, start=START.plus(1), **LOOSE) as there:
            assert grown.read_bytes() == whole
            await reminded(there)
    assert grown.read_bytes().startswith(whole)
    assert len(grown.read_bytes()) > len(whole)
    keys = [each.key for each in told_notices(tmp_path / "data", "ETH-USDT")]
    assert len(keys) == len(set(keys)) == 2
    assert_sound(tmp_path)


async def reminded(there):
    """Let the next hour pass and an alarm that nobody answered be told again."""
    await there.hour(START.plus(1))
    there.clock.set(there.clock.now() + timedelta(minutes=10))
    await remind(there.app)
