"""Looking back on the whole application: each advice at its horizons, each day's KPIs, once and for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from structlog.testing import capture_logs

from daemon import evaluating, kpis
from daemon.control import controlling
from daemon.evaluating import evaluate_due
from daemon.health import health
from daemon.kpis import record_kpis
from daemon.rehearsal import answer_open_advice
from daemon.workers import load_state
from decisions.kpi_day import DAY
from market import failpoints
from market.hours import Hour, parse_instant
from store import yaml_text
from store.advice import decision_ids
from store.change_set import ChangeSet
from store.grids import encode_grid, grid_path
from store.inputs import ReadOnlyStore
from store.kpi_days import KpiRules, first_judged, grid_files, kpis_file
from store.kpi_files import KpisFile, decode_kpis, encode_kpis, kpis_path
from store.minutes import MinuteShelf
from store.paths import metrics_path
from tests.cycle.house import START, assert_sound, git, house
from tests.cycle.test_decisions import GRID, LOOSE, run_grid

EVENING = START.plus(20)
MONDAY = START.opens_at


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data" / "kpis").glob("*"))


def kpi_record(folder: Path, day: datetime) -> KpisFile:
    path = kpis_path(day)
    return decode_kpis((folder / "data" / path).read_bytes(), path)


def recounted(root: Path, there, day: datetime, known_at: datetime) -> bytes:
    """Return a day's record made from files alone."""
    app = there.app
    store = ReadOnlyStore(root, max_missing_minutes=3, timeframes=app.spans)
    last = Hour.of(day + DAY).plus(-1)
    windows = {"ETH-USDT": store.reader.load_window("ETH-USDT", last, app.spans, known_at)}
    rules = KpiRules(app.settings.kpis, 3, app.policy.config_hash, 1)
    first = first_judged(root)
    assert first is not None
    made = kpis_file(root, day, first, known_at, grid_files(root), windows, MinuteShelf(root), rules)
    return encode_kpis(made)


async def test_the_kpis_of_a_day_are_recorded_once_when_it_is_over_and_judged(tmp_path):
    """Not before its last hour is judged, not twice; days missed while off follow; all again from a clone."""
    async with house(tmp_path, start=EVENING, **LOOSE) as there:
        assert await record_kpis(there.app) == await evaluate_due(there.app) == 0  # nothing is judged yet
        await run_grid(there, 2000, 2200, EVENING)  # the price is far above
        await there.hours(EVENING, 2)
        there.clock.set(EVENING.plus(1).closes_at + timedelta(minutes=20))
        assert await answer_open_advice(there.app, EVENING.plus(1)) == 1
        await there.hour(EVENING.plus(2))
        assert await record_kpis(there.app) == 0  # the day is not over
        there.clock.set(EVENING.plus(3).closes_at + timedelta(seconds=5))
        assert await record_kpis(there.app) == 0  # its last hour is not judged
        await there.attend()
        assert await record_kpis(there.app) == 1
        assert await record_kpis(there.app) == 0
        first = kpi_record(tmp_path, MONDAY)
        assert (first.known_at, first.date) == ("2026-01-06T00:00:05Z", "2026-01-05")
        assert first.trailing.start == first.day.start == "2026-01-05T20:00:00Z"
        assert list(first.grids) == [f"grids/{GRID}.yaml"]
        assert first.day.alert_budget["alerts_per_week"].n == 1
        assert first.day.kpis["MEC"].n == 1
        assert first.day.open == {"runs": 0, "alerts": 1, "exits": 1, "mandatory": 0, "holds": 0}
        assert first.day.alert_budget["acknowledge_median"].n == 1
    held = (tmp_path / "data" / kpis_path(MONDAY)).read_bytes()
    async with house(tmp_path, start=EVENING.plus(30), **LOOSE) as there:
        assert await record_kpis(there.app) == 0  # Tuesday is owed
        await there.attend()
        assert await record_kpis(there.app) == 1
        assert written(tmp_path) == ["2026-01-05.yaml", "2026-01-06.yaml"]
        second = kpi_record(tmp_path, MONDAY + DAY)
        assert second.known_at == "2026-01-07T03:00:05Z"
        assert second.day.alert_budget["alerts_per_week"].note == "no grid ran"
        assert second.trailing.alert_budget["alerts_per_week"].n == 1
        assert second.trailing.kpis["FER"].n + second.trailing.open["exits"] == 1
        assert (tmp_path / "data" / kpis_path(MONDAY)).read_bytes() == held
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "-q", str(tmp_path / "data"), str(clone))
        for day, file in ((MONDAY, first), (MONDAY + DAY, second)):
            again = recounted(clone, there, day, parse_instant(file.known_at))
            assert again == (clone / kpis_path(day)).read_bytes()
        late = recounted(clone, there, MONDAY, there.clock.now())
        assert late == held.replace(b"2026-01-06T00:00:05Z", b"2026-01-07T03:00:05Z", 1)
    assert_sound(tmp_path)


async def test_days_without_a_grid_are_recorded_too_and_only_so_many_at_once(tmp_path, monkeypatch):
    """Daemon off over two midnights: each day has its file, oldest first, a few in one go."""
    monkeypatch.setattr(kpis, "MOST_AT_ONCE", 1)
    async with house(tmp_path, start=START.plus(23)) as there:
        await there.hour(START.plus(23))
        there.clock.set(there.clock.now() + 2 * DAY)
        for count in (1, 2, 3):
            assert await record_kpis(there.app) == 1
            assert len(written(tmp_path)) == count
        assert await record_kpis(there.app) == 0
        assert kpi_record(tmp_path, MONDAY).day.start == "2026-01-05T23:00:00Z"
        assert kpi_record(tmp_path, MONDAY + 2 * DAY).grids == {}


async def test_trouble_keeps_a_day_waiting_and_is_said_once(tmp_path):
    """An invalid grid file, then a disk that refuses: nothing half-true is written, and it is made up for."""
    async with house(tmp_path, start=START.plus(23), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START.plus(23))
        await there.hour(START.plus(23))
        bad = tmp_path / "data" / "grids" / "eth-usdt-9.yaml"
        bad.write_text("schema_version: 1\n")
        with capture_logs() as told:
            assert [await record_kpis(there.app) for _ in range(3)] == [0, 0, 0]
        assert [line["event"] for line in told] == ["KPIs not recorded yet"]
        assert "grids/eth-usdt-9.yaml" in told[0]["error"]
        assert "grids/eth-usdt-9.yaml" in health(there.app)["checks"]["kpis"]["output"]
        bad.unlink()
        (tmp_path / "data" / "kpis").write_text("in the way")
        with capture_logs() as told:
            assert [await record_kpis(there.app) for _ in range(4)] == [0, 0, 0, 0]
        assert "File exists" in told[0]["error"]
        assert len({line["error"] for line in told}) == len(told) < 4  # never the same twice
        (tmp_path / "data" / "kpis").unlink()
        assert await record_kpis(there.app) == 1
        assert there.app.board.kpis_trouble is None
        assert health(there.app)["checks"]["kpis"]["status"] == "pass"
    assert_sound(tmp_path)


async def test_a_day_whose_commit_failed_is_not_made_twice(tmp_path):
    """The file is durable and gets into the history later; the next day follows it, with no restart."""
    async with house(tmp_path, start=START.plus(23), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START.plus(23))
        await there.hour(START.plus(23))
        failpoints.arm("writer.before_commit", fails)
        try:
            assert await record_kpis(there.app) == 0
        finally:
            failpoints.disarm()
        assert there.app.board.kpis_trouble is not None
        first = (tmp_path / "data" / kpis_path(MONDAY)).read_bytes()
        await there.app.store.flush()
        await there.hours(START.plus(24), 24)
        assert await record_kpis(there.app) == 1
        assert there.app.board.kpis_trouble is None
        assert (tmp_path / "data" / kpis_path(MONDAY)).read_bytes() == first
        assert (tmp_path / "data" / kpis_path(MONDAY + timedelta(days=1))).exists()
    assert_sound(tmp_path)


def fails():
    """Stands for a Git that cannot commit."""
    raise OSError("no commit today")


async def test_a_market_that_left_the_configuration_holds_no_day_up(tmp_path):
    """What is known of its grid counts, up to its last judged hour; one never judged has nothing to tell."""
    async with house(tmp_path, start=START.plus(22), markets=2, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START.plus(22))
        await there.hour(START.plus(22))
        never = (await there.app.store.grids())[GRID].model_copy(
            update={"grid_id": "sol-1", "market": "SOL-USDT"}
        )
        await there.app.store.write(ChangeSet({grid_path("sol-1"): encode_grid(never)}, "[grid] elsewhere"))
    async with house(tmp_path, start=START.plus(23), markets=2, **LOOSE) as there:
        there.app.board.markets.pop("ETH-USDT")
        there.clock.set(START.plus(23).closes_at + timedelta(seconds=5))
        assert await record_kpis(there.app) == 1
        assert list(kpi_record(tmp_path, MONDAY).grids) == [grid_path(GRID)]
        assert kpi_record(tmp_path, MONDAY).day.open["runs"] == 1


async def test_advice_is_evaluated_by_its_own_rules_a_few_at_a_time_and_after_trouble(tmp_path, monkeypatch):
    """Another configuration since, a full disk, a bound on one go: each evaluation comes, once."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 25)
        old = there.app.policy.config_hash
    config = LOOSE | {"capital": {"total_quote": 20_000, "mode": "multi_grid"}}
    async with house(tmp_path, start=START.plus(25), **config) as there:
        await load_state(there.app)
        await there.hour(START.plus(25))
        assert there.app.policy.config_hash != old
        monkeypatch.setattr(evaluating, "MOST_AT_ONCE", 1)
        with monkeypatch.context() as broken:
            broken.setattr("store.disk.rename", _full)
            with capture_logs() as told:
                assert await evaluate_due(there.app) == 0
        assert [line["event"] for line in told] == ["evaluations not recorded yet"]
        assert [await evaluate_due(there.app) for _ in range(4)] == [1, 1, 0, 0]
    found = sorted(path.name for path in (tmp_path / "data" / "decisions").rglob("*.eval-24h.yaml"))
    assert len(found) == 2
    assert_sound(tmp_path)


def _full(*_paths: Path) -> None:
    raise OSError(28, "No space left on device")


async def test_a_damaged_recommendation_is_said_and_keeps_none_of_the_others(tmp_path):
    """Of three hours one is damaged and one had no price: the third is evaluated."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 27)
        first = next(decision_ids(tmp_path / "data"))
        path = tmp_path / "data" / "decisions" / f"{first}.yaml"
        path.write_bytes(path.read_bytes().replace(b"schema_version: 1", b"schema_version: 7", 1))
        path = tmp_path / "data" / metrics_path("ETH-USDT", START.plus(1))
        record = yaml_text.load(path.read_bytes(), "metrics")
        path.write_bytes(yaml_text.dump({**record, "market_summary": None}))
        with capture_logs() as told:
            assert await evaluate_due(there.app) == 1
        assert [line["decision"] for line in told if "could not be evaluated" in line["event"]] == [first]


async def test_evaluate_goes_through_the_running_daemon(tmp_path, monkeypatch, capsys):
    """The command hands its files over the control socket, the daemon commits them; then nothing is due."""
    from tests.daemon.calls import called

    async with house(tmp_path, **LOOSE) as there:
        await there.hours(START, 25)
        config = str(tmp_path / "config.yaml")
        structlog.reset_defaults()
        async with anyio.create_task_group() as group:
            group.start_soon(controlling, there.app)
            while not there.app.store.socket.exists():
                await anyio.lowlevel.checkpoint()
            done = await anyio.to_thread.run_sync(lambda: called("evaluate", "--config", config))
            again = await anyio.to_thread.run_sync(lambda: called("evaluate", "--config", config))
            group.cancel_scope.cancel()
        assert done.code == 0, done.err
        assert "1 evaluated, commit " in done.out
        assert "0 evaluated" in again.out
        assert await evaluate_due(there.app) == 0
    assert_sound(tmp_path)
