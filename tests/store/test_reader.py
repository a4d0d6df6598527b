"""The reader: windows as of an instant, the cache that equals the files, rule 5, due times."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.candles import Candle
from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from market.snapshot import MarketSnapshot, build_snapshot
from store.agreement import across_files
from store.candle_files import candle_files, decode_candles, month_start_ts
from store.columns import columns_of
from store.ledger import may_judge, next_refetch
from store.paths import SnapshotName, parse_candles
from store.reader import SnapshotReader
from store.snapshots import encode_snapshot
from tests.store.samples import KEY, coarse_of, hour_snapshot, minutes_of

SPANS = {Timeframe.M1: 1, Timeframe.M5: 1, Timeframe.M15: 1, Timeframe.H1: 2, Timeframe.H4: 3}
BASE = Hour.parse("2026-01-31T00")
MAX_MISSING = 3


def put(root: Path, path: str, data: bytes) -> str:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return path


def put_snapshot(root: Path, snapshot: MarketSnapshot, partial: int | None = None) -> str:
    return put(root, SnapshotName(KEY, snapshot.hour, partial).path, encode_snapshot(snapshot))


def put_bars(
    root: Path, timeframe: Timeframe, first: Hour, hours: int, late: timedelta, seed: int
) -> list[str]:
    end = first.plus(hours)
    files = candle_files(
        key=KEY, exchange="sandbox", symbol=KEY, timeframe=timeframe,
        candles=coarse_of(first, hours, timeframe, seed), start_ts=month_start_ts(first.open_ts),
        end_ts=end.open_ts, collected_at=end.opens_at + late,
    )  # fmt: skip
    return [put(root, path, data) for path, data in files.items()]


def reader(root: Path) -> SnapshotReader:
    return SnapshotReader(root, max_missing_minutes=MAX_MISSING)


class Slow:
    """The same window by the plainest means: every file of the folder, exact decimals, no cache."""

    def __init__(self, root: Path, known_at) -> None:
        self.snapshots: dict[int, MarketSnapshot] = {}
        self.parts = []
        for path in sorted(root.rglob("*.json")):
            name = path.relative_to(root).as_posix()
            if name.startswith("candles"):
                part = decode_candles(path.read_bytes(), name, parse_candles(name))
                if part.collected_at <= known_at:
                    self.parts.append(part)
        single = SnapshotReader(root, max_missing_minutes=MAX_MISSING)
        for index in range(BASE.index - 200, BASE.index + 200):
            try:
                self.snapshots[index] = single.load_snapshot(KEY, Hour(index), known_at)
            except FileNotFoundError:
                continue

    def bars(self, timeframe: Timeframe, hour: Hour, days: int) -> list[tuple]:
        made: dict[int, tuple] = {}
        for part in sorted(self.parts, key=lambda p: (p.collected_at, p.end_ts)):
            if part.bars.timeframe is timeframe:
                p, v = Decimal(part.price_scale), Decimal(part.volume_scale)
                for row in zip(*(column.tolist() for column in part.bars.columns()), strict=True):
                    made[row[0]] = (row[0], *(x / p for x in row[1:5]), row[5] / v)
        if timeframe is Timeframe.H4:
            hours = {row[0]: row for row in self.bars(Timeframe.H1, hour, 400)}
            for ts in hours:
                four = [hours.get(ts + 3600 * i) for i in range(4)]
                if ts % 14400 == 0 and None not in four:
                    made[ts] = _merged(ts, four)
        else:
            for s in self.snapshots.values():
                if timeframe is Timeframe.M1 or len(s.missing) <= MAX_MISSING:
                    made |= self._of_minutes(s, timeframe)
        first, last = hour.close_ts - 86400 * days, hour.close_ts - timeframe.seconds
        return [made[ts] for ts in sorted(made) if first <= ts <= last]

    def _of_minutes(self, s: MarketSnapshot, timeframe: Timeframe) -> dict[int, tuple]:
        m, p, v = s.minutes, Decimal(s.price_scale), Decimal(s.volume_scale)
        groups: dict[int, list[tuple]] = {}
        for i in range(60):
            if i not in s.missing:
                ts = s.hour.open_ts + 60 * i
                row = (ts, m.open[i] / p, m.high[i] / p, m.low[i] / p, m.close[i] / p, m.volume[i] / v)
                groups.setdefault(timeframe.floor(ts), []).append(row)
        return {ts: _merged(ts, rows) for ts, rows in groups.items()}


def _merged(ts: int, rows: list[tuple]) -> tuple:
    high, low, volume = max(r[2] for r in rows), min(r[3] for r in rows), sum(r[5] for r in rows)
    return ts, rows[0][1], high, low, rows[-1][4], volume


def as_decimals(window, timeframe):
    bars, p, v = window.bars[timeframe], Decimal(window.price_scale), Decimal(window.volume_scale)
    rows = zip(*(column.tolist() for column in bars.columns()), strict=True)
    return [(ts, o / p, h / p, lo / p, c / p, vol / v) for ts, o, h, lo, c, vol in rows]


def same(one, other):
    assert one.digest() == other.digest()
    assert (one.price_scale, one.volume_scale, one.quality) == (
        other.price_scale,
        other.volume_scale,
        other.quality,
    )
    assert one.first_ts == other.first_ts
    for timeframe in one.bars:
        for left, right in zip(one.bars[timeframe].columns(), other.bars[timeframe].columns(), strict=True):
            np.testing.assert_array_equal(left, right)


LATE = st.sampled_from([5, 400, 5000, 30_000, 100_000])
FILES = st.lists(
    st.tuples(
        st.sampled_from(["whole", "few", "many", "1h", "15m", "4h"]),
        st.integers(0, 75),
        LATE,
        st.integers(0, 1),
    ),
    max_size=18,
)


def write_files(root: Path, files) -> list[str]:
    written = []
    for kind, offset, late_s, seed in files:
        hour, late = BASE.plus(offset), timedelta(seconds=late_s)
        if kind in ("whole", "few", "many"):
            missing = {"whole": (), "few": (2, 9), "many": tuple(range(5, 40))}[kind]
            path = SnapshotName(KEY, hour, None if kind == "whole" else 1 + seed).path
            if not (root / path).exists():
                snapshot = hour_snapshot(hour, missing=missing, seed=seed, late=late)
                written.append(put_snapshot(root, snapshot, None if kind == "whole" else 1 + seed))
        else:
            start = Hour(hour.index - hour.index % 4)
            timeframe = Timeframe(kind)
            if start.opens_at.day == 31 and start.plus(8).opens_at.day == 1:
                start = start.plus(-8)
            name = f"candles/{KEY}/{kind}"
            before = {p.name for p in (root / name).glob("*")} if (root / name).exists() else set()
            written += put_bars_new(root, timeframe, start, late, seed, before)
    return written


def put_bars_new(root, timeframe, start, late, seed, before) -> list[str]:
    end = start.plus(8)
    files = candle_files(
        key=KEY, exchange="sandbox", symbol=KEY, timeframe=timeframe,
        candles=coarse_of(start, 8, timeframe, seed), start_ts=month_start_ts(start.open_ts),
        end_ts=end.open_ts, collected_at=end.opens_at + late,
    )  # fmt: skip
    return [put(root, path, data) for path, data in files.items() if Path(path).name not in before]


@settings(max_examples=80, deadline=None)
@given(FILES, st.lists(st.tuples(st.integers(40, 80), LATE), min_size=1, max_size=4), st.integers(0, 18))
def test_a_window_is_what_the_known_files_say(tmp_path_factory, files, asked, early):
    """As of an instant, whatever was read before: cache, fresh reader and the plain way tell the same."""
    root = tmp_path_factory.mktemp("r")
    warm = reader(root)
    write_files(root, files[:early])
    first = BASE.plus(60)
    warm.load_window(KEY, first, SPANS, first.closes_at)
    for path in write_files(root, files[early:]):
        warm.notice(path)
    for offset, late_s in asked:
        hour = BASE.plus(offset)
        known_at = hour.closes_at + timedelta(seconds=late_s)
        window = warm.load_window(KEY, hour, SPANS, known_at)
        fresh = reader(root)
        same(window, fresh.load_window(KEY, hour, SPANS, known_at))
        assert told(warm, window) == told(fresh, window)
        slow = Slow(root, known_at)
        for timeframe, days in SPANS.items():
            assert as_decimals(window, timeframe) == slow.bars(timeframe, hour, days), timeframe
        later = known_at + timedelta(days=90)  # nothing newer: the quick way
        same(warm.load_window(KEY, hour, SPANS, later), fresh.load_window(KEY, hour, SPANS, later))
    assert not warm.take_faults()


def told(loaded, window):
    """Return what the window's own snapshot tells, comparable."""
    own = loaded.own_hour(window)
    if own is None:
        return None
    return own.summary, [column.tolist() for column in own.minutes.columns()], own.grid_config, own.rules


def test_a_later_file_changes_nothing_that_was_known(tmp_path):
    """Backfill, repair and a newer month file leave an earlier hour's window as it was."""
    put_bars(tmp_path, Timeframe.H1, BASE, 10, timedelta(seconds=1), 0)
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(10), missing=tuple(range(5))), 1)
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(11)))
    hour = BASE.plus(11)
    known_at = hour.closes_at + timedelta(minutes=1)
    before = reader(tmp_path).load_window(KEY, hour, SPANS, known_at)
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(10), late=timedelta(hours=6)))
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(2), late=timedelta(days=3), source="backfill"))
    put_bars(tmp_path, Timeframe.H1, BASE, 12, timedelta(days=1), 1)
    again = reader(tmp_path)
    same(before, again.load_window(KEY, hour, SPANS, known_at))
    now = again.load_window(KEY, hour, SPANS, known_at + timedelta(days=9))
    assert now.digest() != before.digest()
    assert now.quality.repaired_24h == 5
    assert before.quality.missing_24h == 5 + 12 * 60


def test_quality_tells_what_is_under_the_hour(tmp_path):
    """Missing, no-trade and bars-only hours are told apart."""
    put_bars(tmp_path, Timeframe.H1, BASE.plus(-24), 25, timedelta(seconds=1), 0)
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(1), missing=(1, 2), no_trade=(7,)), 1)
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(2), missing=tuple(range(60))), 1)
    loaded = reader(tmp_path)

    def quality(hour):
        return loaded.load_window(KEY, hour, SPANS, hour.closes_at + timedelta(days=2)).quality

    bars_only = quality(BASE)
    assert (bars_only.bars_only, bars_only.missing, bars_only.missing_24h) == (True, 0, 0)
    some = quality(BASE.plus(1))
    assert (some.bars_only, some.missing, some.no_trade, some.missing_24h) == (False, 2, 1, 2)
    assert quality(BASE.plus(2)).missing == 60
    assert quality(BASE.plus(3)).missing == 60
    window = loaded.load_window(KEY, BASE.plus(3), SPANS, BASE.plus(30).opens_at)
    assert loaded.own_hour(window) is None
    empty = loaded.own_hour(loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(30).opens_at))
    assert empty is not None
    assert (empty.summary, len(empty.minutes)) == (None, 0)


def test_scales_are_brought_to_the_finest(tmp_path):
    """Files of different scales give one window, exactly; a value that no longer fits is refused by name."""
    coarse, fine = hour_snapshot(BASE), None
    candles = [
        Candle(c.ts, *(p + Decimal("0.000001") for p in (c.open, c.high, c.low, c.close)), c.volume)
        for c in minutes_of(BASE.plus(1))
    ]
    fine = build_snapshot(
        key=KEY, exchange="sandbox", symbol=KEY, hour=BASE.plus(1), source="live", candles=candles,
        collected_at=BASE.plus(1).closes_at,
    )  # fmt: skip
    assert (coarse.price_scale, fine.price_scale) == (100, 10**6)
    put_snapshot(tmp_path, coarse)
    put_snapshot(tmp_path, fine)
    loaded = reader(tmp_path)
    window = loaded.load_window(KEY, BASE.plus(1), SPANS, BASE.plus(9).opens_at)
    assert window.price_scale == 10**6
    assert window.bars[Timeframe.H1].close[0] == coarse.summary.close * 10**4
    alone = loaded.load_window(KEY, BASE, SPANS, BASE.plus(9).opens_at)
    assert alone.price_scale == 100
    same(alone, reader(tmp_path).load_window(KEY, BASE, SPANS, BASE.plus(9).opens_at))
    huge = [Candle(c.ts, *[Decimal(10**14)] * 4, c.volume) for c in minutes_of(BASE.plus(2))]
    put_snapshot(
        tmp_path,
        build_snapshot(
            key=KEY, exchange="sandbox", symbol=KEY, hour=BASE.plus(2), source="live", candles=huge,
            collected_at=BASE.plus(2).closes_at,
        ),
    )  # fmt: skip
    with pytest.raises(DataInvalid, match="64 bits"):
        loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(9).opens_at)


def test_no_file_is_read_twice(tmp_path):
    """An hour more costs one file; hours that left the span are let go; old hours are read again."""
    hours = [BASE.plus(offset) for offset in range(24 * 14)]
    snapshot = hour_snapshot(BASE)
    for hour in hours[:72]:
        put_snapshot(tmp_path, hour_snapshot(hour))
    loaded = reader(tmp_path)
    loaded.load_window(KEY, hours[71], SPANS, hours[-1].closes_at)
    assert loaded.counts.misses == 72
    for hour in hours[72:]:
        put_snapshot(tmp_path, hour_snapshot(hour))
        loaded.load_window(KEY, hour, SPANS, hours[-1].closes_at)
        loaded.load_window(KEY, hour, SPANS, hours[-1].closes_at)
    # the oldest hour's file is looked at once more, for the first bar ever recorded
    assert loaded.counts.misses == len(hours) + 1
    assert loaded.counts.hits > len(hours)
    assert 0 < loaded.counts.nbytes < 2_000_000
    old = loaded.load_window(KEY, hours[80], SPANS, hours[-1].closes_at)
    same(old, reader(tmp_path).load_window(KEY, hours[80], SPANS, hours[-1].closes_at))
    far = BASE.plus(24 * 400)
    assert not len(loaded.load_window(KEY, far, SPANS, far.closes_at).bars[Timeframe.H1])
    same(old, loaded.load_window(KEY, hours[80], SPANS, hours[-1].closes_at))
    assert snapshot.hour == BASE


def test_the_cache_is_bounded(tmp_path):
    """The market used longest ago goes first, and comes back from its files."""
    for key in ("A", "B", "C"):
        for offset in range(30):
            made = hour_snapshot(BASE.plus(offset), key=key)
            put(tmp_path, SnapshotName(key, made.hour, None).path, encode_snapshot(made))
    loaded = SnapshotReader(tmp_path, max_missing_minutes=3, cache_bytes=200_000, whole_kept=1)
    hour = BASE.plus(29)
    windows = [loaded.load_window(key, hour, SPANS, hour.closes_at + timedelta(days=1)) for key in "ABCABC"]
    assert loaded.counts.nbytes <= 200_000
    assert loaded.counts.misses > 90
    for first, second in zip(windows[:3], windows[3:], strict=True):
        same(first, second)


def test_a_corrupt_file_stops_nobody(tmp_path):
    """It is told once with its reason, and the hour is as if it were not there."""
    for offset in range(3):
        put_snapshot(tmp_path, hour_snapshot(BASE.plus(offset)))
    bad = SnapshotName(KEY, BASE.plus(1), None).path
    (tmp_path / bad).write_bytes(b"{")
    loaded = reader(tmp_path)
    window = loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(9).opens_at)
    assert len(window.bars[Timeframe.H1]) == 2
    (fault,) = loaded.take_faults()
    assert fault.path == bad
    assert "not JSON" in fault.reason
    loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(9).opens_at)
    assert not loaded.take_faults()
    with pytest.raises(DataInvalid):
        loaded.load_snapshot(KEY, BASE.plus(1))
    put_snapshot(tmp_path, hour_snapshot(BASE.plus(1)))
    loaded.notice(bad)
    assert len(loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(9).opens_at).bars[Timeframe.H1]) == 3
    (tmp_path / bad).unlink()
    loaded.forget(bad)
    assert len(loaded.load_window(KEY, BASE.plus(2), SPANS, BASE.plus(9).opens_at).bars[Timeframe.H1]) == 2
    loaded.notice("candles/OTHER/1h/2026-01.json")
    loaded.forget("candles/OTHER/1h/2026-01.json")
    with pytest.raises(ValueError, match="needs 1h"):
        loaded.load_window(KEY, BASE, {Timeframe.M5: 1}, BASE.closes_at)


def test_a_timeframe_asked_for_later_is_read_then(tmp_path):
    """Another set of timeframes over the same hours gives what a fresh reader gives."""
    for offset in range(30):
        put_snapshot(tmp_path, hour_snapshot(BASE.plus(offset)))
    loaded = reader(tmp_path)
    hour = BASE.plus(29)
    known_at = hour.closes_at + timedelta(days=1)
    loaded.load_window(KEY, hour, {Timeframe.H1: 2}, known_at)
    same(
        loaded.load_window(KEY, hour, SPANS, known_at),
        reader(tmp_path).load_window(KEY, hour, SPANS, known_at),
    )


def test_ranges_are_half_open_and_tell_what_is_missing(tmp_path):
    """`load_range` yields what is there, hour by hour, and names the rest."""
    for offset in (0, 1, 3):
        put_snapshot(tmp_path, hour_snapshot(BASE.plus(offset)))
    loaded = reader(tmp_path)
    found = loaded.load_range(KEY, BASE, BASE.plus(4))
    assert [s.hour for s in found] == [BASE, BASE.plus(1), BASE.plus(3)]
    assert found.missing == [BASE.plus(2)]
    with pytest.raises(FileNotFoundError):
        loaded.load_snapshot(KEY, BASE, BASE.opens_at)
    assert loaded.validate_snapshot(hour_snapshot(BASE)).ok


def test_files_that_disagree_are_named():
    """Rule 5: minutes told twice, bars against minutes, holes and jumps; a revised hour may differ."""

    def column(snapshot, partial=None):
        return columns_of(snapshot, SnapshotName(KEY, snapshot.hour, partial))

    whole = column(hour_snapshot(BASE))
    partial = column(hour_snapshot(BASE, missing=(4,)), 1)
    other = column(hour_snapshot(BASE, missing=(4,), seed=1), 1)
    assert across_files([partial, whole], []) == []
    (found,) = across_files([other, whole], [])
    assert found.is_error
    assert "told differently" in found.problem
    assert across_files([other, whole], [], revised=frozenset({BASE})) == []
    (hole,) = across_files([whole, column(hour_snapshot(BASE.plus(3)))], [])
    assert (hole.is_error, hole.problem) == (False, "2 hours before it have no snapshot")
    (jump,) = across_files([whole, column(hour_snapshot(BASE.plus(1)))], [], max_jump=1e-9)
    assert not jump.is_error
    assert "from the hour before" in jump.problem

    def bars(seed):
        first = BASE.plus(-4)
        files = candle_files(
            key=KEY, exchange="x", symbol=KEY, timeframe=Timeframe.H1,
            candles=coarse_of(first, 8, Timeframe.H1, seed), start_ts=month_start_ts(first.open_ts),
            end_ts=first.plus(8).open_ts, collected_at=BASE.plus(99).opens_at,
        )  # fmt: skip
        return [(path, decode_candles(data, path)) for path, data in files.items()]

    assert across_files([whole], bars(0)) == []
    (wrong,) = across_files([whole], bars(1))
    assert "1h bar 2026-01-31T00:00:00Z differs" in wrong.problem
    assert across_files([whole], bars(1), revised=frozenset({BASE})) == []
    assert across_files([], bars(1)) == []


@pytest.mark.parametrize(
    ("tried", "again"),
    [
        (timedelta(seconds=5), timedelta(minutes=5)),
        (timedelta(minutes=5), timedelta(minutes=30)),
        (timedelta(minutes=30), timedelta(hours=6)),
        (timedelta(hours=7), timedelta(hours=24)),
        (timedelta(hours=24), None),
    ],
)
def test_fetches_come_again_at_their_times(tried, again):
    """5 and 30 minutes, 6 and 24 hours, then it is owed to backfill."""
    expected = None if again is None else BASE.closes_at + again
    assert next_refetch(BASE, BASE.closes_at + tried) == expected


def test_an_incomplete_hour_waits_for_half_an_hour():
    """A whole hour is judged at once, an incomplete one after the try at 30 minutes."""
    assert may_judge(BASE, is_complete=True, last_try=BASE.closes_at)
    assert not may_judge(BASE, is_complete=False, last_try=BASE.closes_at + timedelta(minutes=29))
    assert may_judge(BASE, is_complete=False, last_try=BASE.closes_at + timedelta(minutes=30))
