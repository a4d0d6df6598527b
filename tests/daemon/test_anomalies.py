"""Each anomaly from a real house, and what a death or a full disk between telling and noting leaves."""

import shutil
from datetime import timedelta
from typing import NamedTuple

import orjson
import pytest
from structlog.testing import capture_logs

from daemon import conditions
from daemon.anomalies import AnomalyMemory, Remembered, watch_anomalies
from daemon.conditions import conditions_of
from daemon.health import health
from daemon.workers import verify_keys
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import TRADING_KEY
from market import failpoints
from market.errors import NotifyRefused
from notifications.notice import Kind, Level, Notice
from notifications.outbox import Outbox
from tests.cycle.house import QUICK, SETTLE, START, house, with_key

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


ROOMY = Usage(10**12, 0, 10**12)


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    failpoints.disarm()


@pytest.fixture(autouse=True)
def disk(monkeypatch):
    """The machine's own disk is no part of a test; set `disk[0]` to what there is."""
    usage = [ROOMY]
    monkeypatch.setattr(conditions.shutil, "disk_usage", lambda _: usage[0])
    return usage


class Crash(BaseException):
    pass


def crash():
    raise Crash


def full():
    raise OSError(28, "No space left on device")


def waiting(folder):
    """Return the notices of anomalies in the outbox, oldest first."""
    found = [
        orjson.loads(path.read_bytes()) for path in sorted((folder / "data.state" / "outbox").glob("0*.json"))
    ]
    return [notice for notice in found if notice["dedupe"].startswith("anomaly/")]


def named(app):
    return {condition.name: condition for condition in conditions_of(app)}


async def test_a_house_in_order_has_nothing_to_tell(tmp_path):
    """Silence when all is well; and no file is written for it."""
    async with house(tmp_path, markets=2) as there:
        await there.hours(START, 2)
        assert conditions_of(there.app) == []
        assert await watch_anomalies(there.app) == 0
        assert not (tmp_path / "data.state" / "anomalies" / "anomalies.json").exists()


async def test_stale_markets_of_one_exchange_are_one_notice_that_says_what_it_means(tmp_path):
    """pains 8: told as soon as it passes the limit, with values and that advice is withheld."""
    async with house(tmp_path, markets=3) as there:
        await there.hour(START)
        there.clock.set(START.closes_at + timedelta(seconds=5700))
        assert named(there.app) == {}
        there.clock.set(START.closes_at + timedelta(seconds=5701))
        found = named(there.app)
        assert set(found) == {"stale/BTC-USDT", "stale/ETH-USDT", "stale/SOL-USDT"}
        assert found["stale/ETH-USDT"].level is Level.HIGH
        assert f"Newest judged hour {START}, 95 min old (limit 95 min)" in found["stale/ETH-USDT"].detail
        assert await watch_anomalies(there.app) == 1
        (notice,) = waiting(tmp_path)
        assert notice["title"] == "3 markets of sandbox: no fresh hour"
        assert "Advice is withheld" in notice["body"]
        there.clock.set(START.plus(1).closes_at + SETTLE)
        await there.attend()
        assert named(there.app) == {}


async def test_a_market_that_was_never_judged_is_stale_too(tmp_path):
    """A first start that gets nothing is no quiet one."""
    faults = [Fault(kind="server_error", endpoint="/api/v1/market/candles")]
    async with house(tmp_path, faults=faults) as there:
        await there.attend()
        there.clock.set(there.app.board.started_at + 2 * HOUR)
        detail = named(there.app)["stale/ETH-USDT"].detail
        assert detail.startswith("No judged hour since the start, 2.0 h old (limit 95 min): sandbox: ")


async def test_a_market_that_waits_for_missing_minutes_says_so(tmp_path):
    """Not "the reason is not known": the operator learns when it is tried again."""
    async with house(tmp_path, notifications={"stale_after_s": 4500}) as there:
        await there.hour(START)
        last = START.plus(1)
        rows = {"rows_from": last.close_ts - 1200, "rows_to": last.close_ts + 3600}
        there.sandbox.script.add(Fault(kind="gap", endpoint="/api/v1/market/candles", **rows))
        await there.hour(last, at=timedelta(minutes=16))
        detail = named(there.app)["stale/ETH-USDT"].detail
        assert detail.endswith("the next one has minutes missing and is fetched again at 02:30 UTC.")


async def test_a_failing_exchange_is_told_once_and_not_for_each_of_its_markets(tmp_path):
    """Three failures in a row open the breaker, which is one word; whose fault it is stands in it."""
    slow = {"resilience": {**QUICK, "breaker_open_s": 1800}}
    async with house(tmp_path, markets=3, exchange=slow) as there:
        await there.hour(START)
        there.sandbox.script.add(Fault(kind="disconnect"))
        for _ in range(3):
            await there.hour(START.plus(1))
        found = named(there.app)
        assert set(found) == {"exchange_failing/sandbox"}
        told = found["exchange_failing/sandbox"]
        assert told.level is Level.NORMAL
        assert told.detail.startswith("The circuit breaker is open. 3 of 3 markets failed, ")
        assert "3 times in a row (limit 3): sandbox: " in told.detail


async def test_one_market_that_the_exchange_refuses_is_named(tmp_path):
    """Refusals never open the breaker, and are told all the same; two in a row are not."""
    async with house(tmp_path, markets=2) as there:
        await there.hour(START)
        there.sandbox.script.add(Fault(kind="refused", symbol="ETH-USDT", status=400))
        for _ in range(2):
            await there.hour(START.plus(1))
        assert named(there.app) == {}
        await there.attend()
        (told,) = conditions_of(there.app)
        assert told.name == "exchange_failing/sandbox"
        assert told.detail.startswith("1 of 2 markets failed, ETH-USDT 3 times in a row")


async def test_our_own_trouble_is_not_blamed_on_the_exchange(tmp_path):
    """A disk that refuses to write fails markets too."""
    async with house(tmp_path) as there:
        state = there.state()
        state.failures, state.trouble = 5, "[Errno 28] No space left on device"
        assert named(there.app) == {}


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (60.0, None, ""),
        (60.1, Level.NORMAL, "The last took 60 s (limit 60 s)."),
        (301.0, Level.HIGH, "The last took 301 s (limit 300 s)."),
    ],
)
async def test_a_slow_cycle_is_told_by_how_slow_it_is(tmp_path, seconds, level, words):
    """Over one minute is a warning, over five an error."""
    async with house(tmp_path) as there:
        there.state().last_cycle_s = seconds
        found = named(there.app)
        assert [c.level for c in found.values()] == ([] if level is None else [level])
        assert all(c.detail == words for c in found.values())


@pytest.mark.parametrize(("ahead", "level"), [(-3, Level.NORMAL), (8, Level.HIGH)])
async def test_a_clock_that_is_off_is_told(tmp_path, ahead, level):
    """pains 9: beyond one second; louder beyond five, where signed calls are refused."""
    async with house(tmp_path, faults=[Fault(kind="clock_skew", seconds=ahead)]) as there:
        await there.hour(START)
        (told,) = conditions_of(there.app)
        assert (told.name, told.level) == ("clock_off/sandbox", level)
        assert ("signed calls are refused" in told.body) == (level is Level.HIGH)


async def test_a_clock_that_is_far_off_has_one_cause(tmp_path):
    """Hours stay owed because of our clock: the exchange is not blamed."""
    async with house(tmp_path, faults=[Fault(kind="clock_skew", seconds=-10800)]) as there:
        for _ in range(3):
            await there.hour(START)
        assert there.state().failures == 3
        assert set(named(there.app)) == {"clock_off/sandbox"}


async def test_a_key_that_could_not_be_checked_is_told(tmp_path):
    """Market data only is less than what was configured."""
    async with house(tmp_path, exchange=with_key(tmp_path, TRADING_KEY)) as there:
        there.sandbox.script.add(Fault(kind="disconnect", endpoint="/api/v1/user/api-key"))
        await verify_keys(there.app)
        assert set(named(there.app)) == {"keys_unverified/sandbox"}


async def test_a_failing_commit_is_told_while_it_fails(tmp_path):
    """Nothing is recorded: that is an error at once, and over with the next commit."""
    async with house(tmp_path) as there:
        await there.hour(START)
        failpoints.arm("writer.before_commit", full)
        await there.hour(START.plus(1))
        told = named(there.app)["commit_failing"]
        assert told.level is Level.HIGH
        assert "No space left on device" in told.detail
        failpoints.disarm()
        await there.hour(START.plus(2))
        assert "commit_failing" not in named(there.app)


async def test_commits_that_are_not_pushed_are_told_by_tries_or_by_age(tmp_path):
    """Failures are forgotten by a restart, ages are not; it is one anomaly all the same."""
    async with house(tmp_path, health={"push_failures_warn": 2}) as there:
        await there.hour(START)
        board = there.app.board
        board.push_failures, board.push_trouble = 1, "remote: no route"
        assert named(there.app) == {}
        board.push_failures = 2
        told = named(there.app)["push_failing"]
        assert told.level is Level.NORMAL
        assert "2 pushes failed in a row (limit 2): remote: no route." in told.detail
    async with house(tmp_path, start=START.plus(3)) as there:
        told = named(there.app)["push_failing"]
        assert "commits are on this disk only, the oldest 3.0 h old (limit 2.0 h)." in told.detail
        assert "failed" not in told.detail


async def test_a_remote_with_another_history_is_louder(tmp_path):
    """It cannot mend itself, so it breaks through what was told of the failing push."""
    async with house(tmp_path) as there:
        board = there.app.board
        board.push_failures, board.push_trouble = 5, "origin: another history"
        assert named(there.app)["push_failing"].level is Level.NORMAL
        board.remote_unrelated = True
        assert named(there.app)["push_failing"].level is Level.HIGH


async def test_without_a_remote_nothing_waits_to_be_pushed(tmp_path):
    """Everything stays on this disk because the operator wants it so."""
    local = {"data_repository": {"base_path": str(tmp_path / "data")}}
    async with house(tmp_path, **local) as there:
        await there.hours(START, 2)
        there.clock.set(START.plus(3).closes_at + 10 * MINUTE)
        assert "push_failing" not in named(there.app)


@pytest.mark.parametrize(
    ("usage", "low"),
    [
        (Usage(10**12, 0, 10**11), False),
        (Usage(10**12, 0, 10**11 - 1), True),
        (Usage(2 * 10**9, 0, 10**9), False),
        (Usage(2 * 10**9, 0, 10**9 - 1), True),
    ],
)
async def test_a_disk_that_runs_full_is_told_before_it_is(tmp_path, disk, usage, low):
    """Below 10 % or 1 GB, whichever comes first."""
    async with house(tmp_path) as there:
        disk[0] = usage
        found = named(there.app)
        assert ("disk_low" in found) == low
        if low:
            assert found["disk_low"].level is Level.HIGH
            assert "(limits 1 GB and 10%)" in found["disk_low"].detail


async def test_the_disk_of_the_state_is_looked_at_where_it_is_another(tmp_path, monkeypatch):
    """A volume of its own under the outbox runs full on its own."""
    async with house(tmp_path) as there:
        state = there.app.settings.state_path
        low = Usage(10**12, 0, 10**8)
        monkeypatch.setattr(conditions.shutil, "disk_usage", lambda path: low if path == state else ROOMY)
        assert named(there.app) == {}
        monkeypatch.setattr(conditions, "_device", lambda path: 2 if path == state else 1)
        found = named(there.app)
        assert set(found) == {"disk_low/state"}
        assert found["disk_low/state"].title == "the disk under the outbox and the state is full or nearly so"


async def test_a_channel_that_refuses_everything_is_told(tmp_path):
    """A revoked token answers promptly and takes nothing: no failure, and nobody is reached."""

    class Strict:
        name = "phone"

        async def send(self, notice):
            raise NotifyRefused("application token is invalid")

    async with house(tmp_path) as there:
        app = there.app
        app.outbox = Outbox(tmp_path / "box", [Strict()], there.clock)
        app.outbox.enqueue(Notice("d", "", Level.HIGH, "t", "b", there.clock.now()))
        await app.outbox.deliver()
        there.clock.set(there.clock.now() + timedelta(minutes=9))
        assert named(app) == {}
        there.clock.set(there.clock.now() + timedelta(minutes=1))
        told = named(app)["channel/phone"]
        assert told.title == "phone takes no notices"
        assert told.detail == "refused: application token is invalid."
        assert "what it refused is not sent again" in told.body


async def test_notices_that_were_damaged_are_told_until_they_are_taken_away(tmp_path):
    """What they said went to nobody: the phone, the log and /health say that, and where they lie."""
    async with house(tmp_path) as there:
        app = there.app
        (tmp_path / "box").mkdir()
        for number in range(9):
            (tmp_path / "box" / f"{number:08d}-x.json").write_bytes(b"{")
        app.outbox = Outbox(tmp_path / "box", [], there.clock)
        told = named(app)["notices_damaged"]
        assert told.level is Level.HIGH
        assert told.detail.startswith("9, in the folder outbox of the state: 00000000-x.damaged, 0000")
        assert told.detail.endswith(", 00000007-x.damaged and 1 more.")
        page = health(app)["checks"]["channels"]
        assert (page["status"], page["damaged"]) == ("warn", 9)
        assert "9 notices that waited were damaged and not sent: 00000000-x.damaged, " in page["output"]
        for path in (tmp_path / "box").iterdir():
            if "00000003" not in path.name:
                path.unlink()
        assert named(app)["notices_damaged"].detail.endswith("of the state: 00000003-x.damaged.")
        (tmp_path / "box" / "00000003-x.damaged").unlink()
        assert named(app) == {}
        assert health(app)["checks"]["channels"]["status"] == "pass"


async def test_a_state_that_is_gone_is_told(tmp_path):
    """A volume that was taken away has no device to compare."""
    async with house(tmp_path) as there:
        state = there.app.settings.state_path
        state.rename(tmp_path / "away")
        assert conditions._device(state) is None
        (tmp_path / "away").rename(state)
        assert conditions._device(state) == conditions._device(tmp_path)


async def test_a_disk_that_cannot_be_looked_at_is_told(tmp_path, monkeypatch):
    """A volume that went away ends no worker."""
    async with house(tmp_path) as there:
        monkeypatch.setattr(conditions.shutil, "disk_usage", lambda _: full())
        assert "No space left on device" in named(there.app)["disk_low"].detail


async def test_a_worker_that_dies_again_and_again_is_told(tmp_path):
    """pains 12: three times within an hour; what was long ago does not count."""
    async with house(tmp_path) as there:
        board, now = there.app.board, there.clock.now()
        for ago in (2 * HOUR, 50 * MINUTE, 10 * MINUTE):
            board.restarted("pusher", now - ago)
        assert named(there.app) == {}
        assert board.restarted("pusher", now) == 4
        told = named(there.app)["restarting/pusher"]
        assert "restarted 3 times within an hour (limit 3)" in told.detail
        there.clock.set(now + 11 * MINUTE)
        assert named(there.app) == {}


async def test_what_is_told_rings_and_a_second_look_says_nothing(tmp_path, disk):
    """Each minute is looked; the operator hears once, then that it is over."""
    async with house(tmp_path) as there:
        disk[0] = Usage(10**12, 0, 10**8)
        assert await watch_anomalies(there.app) == 1
        assert await there.app.bells.notifier.heard_within(0.01)
        at = there.clock.now()
        there.clock.set(at + MINUTE)
        assert await watch_anomalies(there.app) == 0
        assert not await there.app.bells.notifier.heard_within(0.01)
        disk[0] = ROOMY
        for minute in (2, 10, 31):
            there.clock.set(at + minute * MINUTE)
            assert await watch_anomalies(there.app) == 0
        there.clock.set(at + 32 * MINUTE)
        assert await watch_anomalies(there.app) == 1
        titles = [notice["title"] for notice in waiting(tmp_path)]
        assert titles == [
            f"{over}the disk under the data repository is full or nearly so" for over in ("", "over: ")
        ]


async def test_a_restart_tells_nothing_twice(tmp_path, disk):
    """What lasts over a restart goes on: the same since, the same back-off."""
    disk[0] = Usage(10**12, 0, 10**8)
    async with house(tmp_path) as there:
        await there.hour(START)
        assert await watch_anomalies(there.app) == 1
        await there.app.outbox.deliver()
    async with house(tmp_path, start=START.plus(1)) as there:
        await there.attend()
        assert await watch_anomalies(there.app) == 0
        there.clock.set(START.plus(4).closes_at + SETTLE)
        await there.attend()
        await watch_anomalies(there.app)
        repeats = [each for each in waiting(tmp_path) if each["dedupe"].startswith("anomaly/disk_low")]
        assert [each["dedupe"] for each in repeats] == ["anomaly/disk_low/2026-01-05T01:00:05Z/2"]


@pytest.mark.parametrize("delivered", [False, True])
@pytest.mark.parametrize(
    "place", ["anomalies.before_enqueue", "notify.after_enqueue", "anomalies.before_keep"]
)
async def test_a_death_between_telling_and_noting_tells_once(tmp_path, disk, place, delivered):
    """The very same notice is told again at the restart, minutes later, and the outbox knows it."""
    disk[0] = Usage(10**12, 0, 10**8)
    with capture_logs() as logs:
        async with house(tmp_path) as there:
            failpoints.arm(place, crash)
            with pytest.raises(Crash):
                await watch_anomalies(there.app)
            failpoints.disarm()
            if delivered:
                await there.app.outbox.deliver()
        async with house(tmp_path, at=5 * MINUTE) as there:
            assert await watch_anomalies(there.app) == (place == "anomalies.before_enqueue")
            there.clock.set(there.clock.now() + MINUTE)
            assert await watch_anomalies(there.app) == 0
            (kept,) = AnomalyMemory(tmp_path / "data.state" / "anomalies").recall().told.values()
            assert kept.since == START.closes_at + SETTLE
            await there.app.outbox.deliver()
    told = [line["title"] for line in logs if line["event"] == "notice" and "disk" in line["title"]]
    assert told == ["the disk under the data repository is full or nearly so"]


async def test_a_death_before_anything_is_kept_tells_at_the_restart(tmp_path, disk):
    """Nothing is on disk, so it begins then; told once all the same."""
    disk[0] = Usage(10**12, 0, 10**8)
    async with house(tmp_path) as there:
        failpoints.arm("notify.before_rename", crash)
        with pytest.raises(Crash):
            await watch_anomalies(there.app)
        failpoints.disarm()
        assert waiting(tmp_path) == []
    async with house(tmp_path, at=5 * MINUTE) as there:
        assert await watch_anomalies(there.app) == 1


@pytest.mark.parametrize("place", ["notify.before_rename", "notify.before_enqueue"])
async def test_a_full_disk_says_it_in_the_log_and_tells_it_later(tmp_path, disk, place):
    """Failures fall back to the log, never to silence, and end no worker."""
    disk[0] = Usage(10**12, 0, 0)
    async with house(tmp_path) as there:
        failpoints.arm(place, full)
        with capture_logs() as logs:
            assert await watch_anomalies(there.app) == 0
        (line,) = [entry for entry in logs if entry["event"] == "notice not durable, tried again"]
        assert line["title"].startswith("the disk under the data repository")
        assert "No space left" in line["error"]
        failpoints.disarm()
        assert await watch_anomalies(there.app) == 1
        assert len(waiting(tmp_path)) == 1
        assert await watch_anomalies(there.app) == 0


async def test_a_note_that_fails_after_the_telling_tells_nothing_twice(tmp_path, disk):
    """The notice stays to be told, and the outbox knows it."""
    calls = []

    def full_at_the_third():  # the memory, the outbox, the memory again
        calls.append(1)
        if len(calls) == 3:
            full()

    disk[0] = Usage(10**12, 0, 0)
    async with house(tmp_path) as there:
        failpoints.arm("notify.before_rename", full_at_the_third)
        with capture_logs() as logs:
            assert await watch_anomalies(there.app) == 1
        assert any("not noted" in entry["event"] for entry in logs)
        failpoints.disarm()
        await there.app.outbox.deliver()
        there.clock.set(there.clock.now() + MINUTE)
        assert await watch_anomalies(there.app) == 0
        assert waiting(tmp_path) == []


async def test_what_is_kept_comes_back_as_it_was(tmp_path, disk):
    """Instants, levels and notices that were not told yet survive a restart."""
    disk[0] = Usage(10**12, 0, 0)
    async with house(tmp_path) as there:
        failpoints.arm("anomalies.before_enqueue", crash)
        with pytest.raises(Crash):
            await watch_anomalies(there.app)
        kept = AnomalyMemory(tmp_path / "data.state" / "anomalies").recall()
        assert kept.told["disk_low"].since == there.clock.now()
        assert kept.told["disk_low"].level is Level.HIGH
        (notice,) = kept.waiting
        assert notice.kind is Kind.ANOMALY
        assert notice.at == there.clock.now()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"told":{"a":{"since":"2026-01-05T01:00:05"}}}', b"\xff"]
)
def test_a_damaged_memory_is_forgotten_with_a_word(tmp_path, damage):
    """It tells what is wrong once more, and stops nobody."""
    (tmp_path / "anomalies.json").write_bytes(damage)
    memory = AnomalyMemory(tmp_path)
    with capture_logs() as logs:
        assert memory.recall() == Remembered()
    assert [entry["event"] for entry in logs] == [
        "what was told of anomalies is not readable and is forgotten"
    ]
    memory.keep(Remembered())
    assert memory.recall() == Remembered()
    shutil.rmtree(tmp_path)
    with capture_logs() as logs:
        assert memory.recall() == Remembered()
    assert logs == []
