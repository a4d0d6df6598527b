"""Full disks, corrupt files, dangerous keys: a clear word, and nothing lost."""

from dataclasses import replace

import pytest

from daemon.health import health
from daemon.workers import verify_keys
from exchanges.collection import collect_snapshot
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import OPEN_KEY, TRADING_KEY, UNKNOWN_WORD_KEY, WITHDRAWING_KEY
from market import failpoints
from market.errors import ExchangeRefused
from store.advice import read_advice
from store.change_set import ChangeSet
from store.paths import SnapshotName
from store.snapshots import encode_snapshot
from tests.cycle.house import START, assert_sound, house, recomputed, with_key


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
        failpoints.disarm()
        await there.hour(START.plus(3))
        await there.app.store.flush()
        assert len(there.judged()) == 4
        assert there.state().trouble is None
    assert_sound(tmp_path)


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
