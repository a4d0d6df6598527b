"""Every kind of file that the program reads: a valid one, what reads it, and who finds a valid other one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from backtest.result import read_result
from backtest.sweep import run_part, tasks_of
from backtest.sweep_files import manifest_of, opened
from daemon.anomalies import AnomalyMemory, Remembered
from daemon.app import _StoreObserver
from daemon.board import Board
from daemon.configuration import load_settings
from daemon.digest import DigestMemory
from daemon.told import ToldMemory
from market.hours import Hour, Timeframe
from notifications.anomalies import Told
from notifications.messages import HourFacts
from notifications.notice import Level, Notice
from notifications.notice_file import encode_notice
from notifications.outbox import Outbox
from notifications.receipts import OpenEmergency, Receipts
from notifications.shelf import tag_of
from store.candle_files import candle_files
from store.change_set import ChangeSet, check_content
from store.decision_files import action_path, encode
from store.exit_files import exit_states_growth
from store.grids import grid_path
from store.index.regime_index import RegimeIndex
from store.intents import IntendedFile, Intent, Intents
from store.kpi_files import encode_kpis
from store.paths import SnapshotName, metrics_path, shadow_path
from store.recorded import series
from store.records import encode_metrics, metrics_file
from store.restored import Restored, note_restored, recall_restored, restored_path
from store.shadow_files import encode_shadow, shadow_file
from store.snapshots import encode_snapshot
from store.trade_files import trades_growth
from tests.backtest.samples import sample_result
from tests.backtest.sweeps import SETS, minutes, plan_over
from tests.fakes import FakeClock
from tests.store.samples import (
    FIRST,
    KEY,
    NOON,
    analysis,
    coarse_of,
    decision_files,
    grid_file,
    hour_snapshot,
)
from tests.store.test_calibration_files import encode_calibration
from tests.store.test_calibration_files import made as calibration_made
from tests.store.test_decision_files import ACTION, EVALUATIONS, ID
from tests.store.test_desk_files import hour_of_desk
from tests.store.test_episodes import STOP
from tests.store.test_files import HOUR, evaluation_of, full_snapshot
from tests.store.test_kpi_files import PATH as KPIS
from tests.store.test_kpi_files import made as kpis_made
from tests.trading.trades import closed_trade

HISTORY = "`verify` and `fsck`, against the history"
"""Who finds a record that is valid and another than it was."""
ANEW = "nobody: it is made anew from the repository, and asked for by name"
OUTSIDE = "nobody: it is the operator's own, or a recording; a run tells its digest"
MEMORY = "nobody: a notice may be told once more, or a change of state not"


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file.

    Attributes:
        name: As the table calls it.
        file: What a message has to name.
        data: A valid one.
        read: Reads these bytes in an empty folder by the program's own way; returns what it took.
        found_by: Who finds damage that leaves a valid file; empty where there is no such damage.
    """

    name: str
    file: str
    data: bytes
    read: Callable[[bytes, Path], Any]
    found_by: str = ""


class _Never:
    """A channel to which nothing is sent."""

    name = "never"

    async def send(self, notice: Notice) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        pass


def _record(path: str, data: bytes, found_by: str = HISTORY) -> FileKind:
    """Return a kind of the data repository, read as the daemon checks each record."""

    def read(damaged: bytes, _folder: Path) -> bytes:
        check_content(ChangeSet({path: damaged}, "[corpus] x"))
        return damaged

    return FileKind(path.partition("/")[0], path, data, read, found_by)


def _records(folder: Path) -> Iterator[FileKind]:
    record = evaluation_of(analysis(), full_snapshot().summary)
    whole, part = SnapshotName(KEY, FIRST, None), SnapshotName(KEY, FIRST, 1)
    calibrated, calibration = calibration_made()
    bars = coarse_of(Hour.parse("2026-01-01T00"), 24, Timeframe.H1)
    candles = candle_files(
        key=KEY, exchange="sandbox", symbol=KEY, timeframe=Timeframe.H1, candles=bars,
        start_ts=bars[0].ts, end_ts=bars[-1].ts + 3600, collected_at=NOON,
    )  # fmt: skip
    yield _record(whole.path, encode_snapshot(hour_snapshot(FIRST)), "")
    partial = encode_snapshot(hour_snapshot(FIRST, missing=(5, 6)))
    yield FileKind("snapshots, incomplete", part.path, partial, _record(part.path, partial).read)
    yield _record(*next(iter(candles.items())), "")
    yield _record(metrics_path(KEY, HOUR), encode_metrics(metrics_file(record)))
    yield _record(shadow_path(KEY, HOUR), encode_shadow(shadow_file(record)))
    advice, data = next(iter(decision_files(EVALUATIONS["create"]).items()))
    yield _record(advice, data)
    action = encode(ACTION)
    yield FileKind(
        "decisions, actions", action_path(ID, 1), action, _record(action_path(ID, 1), action).read, HISTORY
    )
    yield _record(calibrated, encode_calibration(calibration))
    yield _record("configs/c0ffee00.yaml", b"schema_version: 1\nconfig_hash: c0ffee00\nrules:\n  a: 1\n")
    yield _record(KPIS, encode_kpis(kpis_made()))
    states = exit_states_growth(STOP, folder)
    yield _record(*next(iter(states.items())))
    desk = hour_of_desk()
    yield _record(desk.path, desk.data, "")
    trades = trades_growth(folder, [closed_trade("a", FIRST), closed_trade("b", FIRST)])
    yield _record(*next(iter(trades.items())))
    yield _record(grid_path("eth-1"), grid_file(lower=(1800, 1850)))


def _in(name: str, start: Callable[[Path], Any]) -> Callable[[bytes, Path], Any]:
    """Return what lays the bytes under a name and lets the program start over them."""

    def read(damaged: bytes, folder: Path) -> Any:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(damaged)
        return start(folder)

    return read


def _state(folder: Path) -> Iterator[FileKind]:
    """Yield the kinds of the state folder."""
    notice = Notice("d", "", Level.HIGH, "t", "b", NOON)
    name = f"00000001-{tag_of('d')}.json"

    def waiting(place: Path) -> Any:
        outbox = Outbox(place / "outbox", [_Never()], FakeClock(NOON))
        return [entry.notice for entry in outbox._shelf.waiting] if outbox.waiting else None

    yield FileKind("outbox", name, encode_notice(notice, NOON, ["never"]), _in(f"outbox/{name}", waiting))
    tags = "".join(f"{tag_of(str(n))}\n" for n in range(5)).encode()

    def remembered(place: Path) -> Any:
        outbox = Outbox(place, [], FakeClock(NOON))
        return [outbox.knows(str(n)) for n in range(5)]

    yield FileKind("outbox, what was told", "told.jsonl", tags, _in("told.jsonl", remembered), MEMORY)
    facts = HourFacts(KEY, FIRST, "analysed", None, "TREND", 0.05, 2000.0, 1900.0, 2100.0)
    ToldMemory(folder / "told").keep(facts)
    yield FileKind(
        "told", f"told/{KEY}.json", (folder / "told" / f"{KEY}.json").read_bytes(),
        _in(f"told/{KEY}.json", lambda place: ToldMemory(place / "told").recall(KEY)), MEMORY,
    )  # fmt: skip
    told = Told(NOON, 1, NOON, 4.0, Level.HIGH, "t", "")
    AnomalyMemory(folder / "anomalies").keep(Remembered({"disk_low": told}, (notice,)))
    yield FileKind(
        "anomalies", "anomalies/anomalies.json", (folder / "anomalies" / "anomalies.json").read_bytes(),
        _in("anomalies/anomalies.json", lambda place: AnomalyMemory(place / "anomalies").recall()), MEMORY,
    )  # fmt: skip
    DigestMemory(folder).keep(date(2026, 2, 2))
    yield FileKind(
        "digest", "digest.json", (folder / "digest.json").read_bytes(),
        _in("digest.json", lambda place: DigestMemory(place).recall()), MEMORY,
    )  # fmt: skip
    emergency = OpenEmergency("abc", "g", "d", KEY, NOON, NOON + timedelta(hours=1))
    asyncio.run(Receipts(folder).keep(emergency))
    yield FileKind(
        "receipts", "receipts.json", (folder / "receipts.json").read_bytes(),
        _in("receipts.json", lambda place: Receipts(place).open), MEMORY,
    )  # fmt: skip
    files = (IntendedFile(path="grids/a.yaml", digest="sha256:" + "0" * 64, old=None),)
    intents = Intents(folder / "intents", folder / "incoming")
    intents.prepare()
    intents.write(Intent(number=1, at=NOON, message="[grid] x", files=files))

    def recovered(place: Path) -> Any:
        found, unreadable = Intents(place / "intents", place).all()
        for name, reason in unreadable.items():  # as a start does
            _StoreObserver(Board(NOON)).set_aside(f"intents/{name}", reason)
        return found

    yield FileKind(
        "intents", "intents/1.json", (folder / "intents" / "1.json").read_bytes(),
        _in("intents/1.json", recovered), HISTORY,
    )  # fmt: skip
    (folder / ".git").mkdir()
    note_restored(folder, Restored(at=NOON, commit="c" * 40, committed_at=NOON, owed_to="x", markets={}))
    yield FileKind(
        "restored", ".git/regimed.restored", restored_path(folder).read_bytes(),
        _in(".git/regimed.restored", recall_restored), MEMORY,
    )  # fmt: skip


def _index(folder: Path) -> FileKind:
    """The embedded index: opened to read, as the daemon's API does."""
    RegimeIndex.open(f"sqlite:///{folder / 'index.sqlite'}").close()

    def read(damaged: bytes, place: Path) -> Any:
        (place / "index.sqlite").write_bytes(damaged)
        index = RegimeIndex.open(f"sqlite:///{place / 'index.sqlite'}", create=False)
        try:
            return index.states()
        finally:
            index.close()

    return FileKind("index", "index.sqlite", (folder / "index.sqlite").read_bytes(), read, ANEW)


def _configuration(folder: Path) -> Iterator[FileKind]:
    told = {
        "data_repository": {"base_path": "data"},
        "exchanges": {"kucoin": {"kind": "kucoin"}},
        "markets": [{"exchange": "kucoin", "symbol": "ETH-USDT"}],
        "http": {"port": 8080},
    }
    data = yaml.safe_dump(told).encode()

    def load(place: Path) -> Any:
        return load_settings(place / "config.yaml", {}).rules()

    yield FileKind("configuration", "config.yaml", data, _in("config.yaml", load), OUTSIDE)
    with_shadow = yaml.safe_dump({**told, "shadow": "shadow.yaml"}).encode()

    def shadowed(place: Path) -> Any:
        (place / "config.yaml").write_bytes(with_shadow)
        return load(place)

    rules = b"gates:\n  transition_bars: 3\n"
    yield FileKind("configuration, shadow", "shadow.yaml", rules, _in("shadow.yaml", shadowed), OUTSIDE)


def _made(folder: Path) -> Iterator[FileKind]:
    """Yield what the program makes for people, and what they give it."""
    yield FileKind(
        "backtest result", "result.json", sample_result().as_bytes(),
        lambda damaged, _place: read_result(damaged, "result.json"), ANEW,
    )  # fmt: skip
    plan = plan_over(minutes(6), 6)
    tasks = list(tasks_of(SETS, 5))
    with opened(folder, plan, SETS, 5) as sweep:
        for task in tasks:
            sweep.write(task, run_part(plan, task))

    def swept(place: Path) -> Any:
        for each in ("manifest.json", "parts"):
            source = folder / each
            for path in [source] if source.is_file() else source.iterdir():
                target = place / path.relative_to(folder)
                target.parent.mkdir(exist_ok=True)
                if not target.exists():
                    shutil.copy(path, target)
        with opened(place, plan, SETS, 5) as sweep:
            sweep.done(tasks)
            whole = sweep.whole(tasks)
            return {each.name: getattr(whole, each.name).tolist() for each in fields(whole)}

    assert manifest_of(plan, SETS, 5)
    for name in ("manifest.json", "parts/sets-00001.parquet", "parts/days-00001.parquet"):
        yield FileKind(
            f"sweep, {Path(name).stem[:8]}", name, (folder / name).read_bytes(), _in(name, swept), ANEW
        )
    first = Hour.parse("2025-06-01T00").open_ts
    columns = {
        "ts": [first + 3600 * n for n in range(48)],
        **{name: [100.0 + n for n in range(48)] for name in ("open", "high", "low", "close", "volume")},
    }
    rows = zip(*columns.values(), strict=True)
    text = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"
    pq.write_table(pa.table(columns), folder / "x.parquet")
    for suffix, data in (("parquet", (folder / "x.parquet").read_bytes()), ("csv", text.encode())):
        file = f"KUCOIN_ETH-USDT_1h.{suffix}"

        def recorded(place: Path, file: str = file) -> Any:
            made = series(place / file)
            return [column.tolist() for column in (made.ts, made.open, made.close, made.volume)]

        yield FileKind(f"recording, {suffix}", file, data, _in(file, recorded), OUTSIDE)


@contextmanager
def kinds(folder: Path) -> Iterator[list[FileKind]]:
    """Give every kind of file; `folder` is for what their valid ones are made in."""
    found: list[FileKind] = []
    for number, made in enumerate((_records, _state, _configuration, _made)):
        (folder / str(number)).mkdir()
        found += made(folder / str(number))
    (folder / "index").mkdir()
    yield [*found, _index(folder / "index")]
