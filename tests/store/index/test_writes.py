"""What a write promises: refused as a whole, repeated at no cost, never half there, one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from market.candles import no_bars
from market.hours import Timeframe
from regime.series import RegimeCounts, RegimeRows
from store.index.regime_index import RegimeIndex
from tests.store.index.samples import H1, KEY, NOW, OTHER_RULES, START, at, content, fill

ALWAYS = 1 << 40


def changes_of(index: RegimeIndex) -> int:
    """Return how many rows this index's fillings name: a write that changes nothing adds none."""
    with index._database.reading() as connection:
        return int(connection.execute(text("SELECT count(*) FROM fillings")).scalar_one())


def test_the_same_write_again_changes_nothing(index):
    """A repeated pass alters no row, no revision, no instant at which rows were made."""
    first = fill(index, 0, 200)
    again = fill(index, 0, 200, source="b2" * 20, created_at=NOW + timedelta(days=1))
    assert again.revision == first.revision
    assert again.counts.to_bytes() == first.counts.to_bytes()
    assert (again.source, again.updated_at) == ("b2" * 20, NOW + timedelta(days=1))
    assert changes_of(index) == 1


def test_rows_that_come_later_leave_the_revision(index):
    """An append alters no answer about the time before it; a rewrite, a cut and other rules each do."""
    begun = fill(index, 0, 100).revision
    assert fill(index, 100, 140).revision == begun
    assert fill(index, 90, 160).revision == begun
    assert fill(index, 150, 160, variant=1).revision == begun + 1
    assert fill(index, 150, 155, variant=1).revision == begun + 2
    assert fill(index, 0, 160, rules=OTHER_RULES).revision == begun + 3
    assert index.delete_regimes(KEY, H1, at(160)) == 0
    assert index.state(KEY, H1).revision == begun + 3
    assert index.delete_regimes(KEY, H1, at(100)) > 0
    assert index.state(KEY, H1).revision == begun + 4


def test_a_row_where_none_was_is_a_change(index):
    """A gap inside the filled range that is filled alters answers about that range."""
    rows, bars = content(H1, at(0), at(50), gaps=False)
    lacking = rows.where(rows.ts != at(30))
    begun = fill(index, 0, 50, rows=lacking, bars=bars).revision
    assert fill(
        index, 20, 50, rows=rows.between(at(20), at(50)), bars=bars.between(at(20), at(50))
    ).revision == (begun + 1)
    assert index.get_regimes(KEY, H1, at(0), at(50)).same_as(rows)
    assert index.check() == []


def test_an_end_that_falls_is_a_change(index):
    """Even where nothing stood behind it: what is filled there later may be another answer."""
    rows, bars = content(H1, at(0), at(50))
    begun = fill(index, 0, 60, rows=rows, bars=bars).revision
    assert fill(index, 0, 55, rows=rows, bars=bars).revision == begun + 1
    assert fill(index, 0, 60, rows=rows, bars=bars).revision == begun + 1


def test_a_candle_that_changes_alone_is_a_change(index):
    """Equal regimes over another volume: the new candle is told, and the revision rises."""
    rows, bars = content(H1, at(0), at(50))
    begun = fill(index, 0, 50).revision
    other = replace(bars, volume=bars.volume + (bars.ts == bars.ts[20]))
    assert fill(index, 0, 50, bars=other).revision == begun + 1
    assert np.array_equal(index.get_candles(KEY, H1, 0, ALWAYS).volume, other.volume)
    assert index.get_regimes(KEY, H1, 0, ALWAYS).same_as(rows)


@pytest.mark.parametrize("again", [False, True])
def test_a_series_may_be_cut_at_any_bar(index, again):
    """Within a period, at its first bar, at its last one, in a gap: what is left adds up, and goes on."""
    fill(index, 0, 40)
    for cut in range(39, 9, -1):
        if again:
            fill(index, cut, 40, variant=cut)
            assert index.check() == []
        index.delete_regimes(KEY, H1, at(cut))
        assert index.check() == []
    fill(index, 10, 40)
    assert index.check() == []
    assert index.get_regimes(KEY, H1, 0, ALWAYS).same_as(content(H1, at(0), at(40))[0])


def test_a_series_begun_anew_never_repeats_a_revision(index):
    """Who kept an answer by its revision is not told that it still holds when the series is another."""
    fill(index, 0, 10)
    before = fill(index, 0, 10, variant=1).revision
    index.delete_regimes(KEY)
    assert fill(index, 0, 10, created_at=NOW + timedelta(seconds=2)).revision > before


def test_a_write_that_breaks_a_series_is_refused_and_leaves_it(index):
    """Holes, mixed rules, mixed scales, foreign bars: a clear error, and nothing is written."""
    before = fill(index, 0, 50)
    rows, bars = content(H1, at(50), at(60), gaps=False)
    off = RegimeRows(H1, rows.ts + 1, rows.full, rows.verdict, rows.confidence)
    for problem, change in (
        ("would leave a hole", {"start": 51, "end": 60}),
        ("replace the whole series", {"start": 50, "end": 60, "rules": OTHER_RULES}),
        ("replace the whole series", {"start": 50, "end": 60, "price_scale": 1000}),
        ("replace the whole series", {"start": 1, "end": 60, "volume_scale": 10}),
        ("rows open from", {"start": 50, "end": 59, "rows": rows, "bars": bars.rows(0, 9)}),
        ("bars open from", {"start": 51, "end": 60, "rows": RegimeRows.none(H1), "bars": bars}),
        (f"the row at {at(50)} has no bar", {"start": 50, "end": 60, "rows": rows, "bars": bars.rows(1, 10)}),
        ("rows of 4h", {"start": 50, "end": 60, "rows": RegimeRows.none(Timeframe.H4)}),
        ("bars of 4h", {"start": 50, "end": 60, "bars": no_bars(Timeframe.H4)}),
        ("must rise", {"start": 50, "end": 60, "rows": rows.where(np.array([3, 2])), "bars": bars}),
        ("multiples of the timeframe", {"start": 50, "end": 60, "rows": off, "bars": bars}),
    ):
        with pytest.raises(ValueError, match=problem) as refused:
            fill(index, change.pop("start"), change.pop("end"), **change)
        assert KEY in str(refused.value)
    after = index.state(KEY, H1)
    assert (after.revision, after.filled_to_ts, after.counts.to_bytes()) == (
        before.revision,
        before.filled_to_ts,
        before.counts.to_bytes(),
    )
    assert index.check() == []


def test_other_rules_may_begin_before_the_first_bar_only(index):
    """The whole series is replaced, whatever its length was, and has its new rules and scales."""
    fill(index, 5, 50, gaps=False)
    with pytest.raises(ValueError, match="which begins at"):
        fill(index, 6, 50, rules=OTHER_RULES)
    state = fill(index, 5, 20, rules=OTHER_RULES, price_scale=1000)
    assert (state.rules, state.price_scale, state.filled_to_ts) == (OTHER_RULES, 1000, at(20))
    assert len(index.get_candles(KEY, H1, 0, ALWAYS)) == len(content(H1, at(5), at(20))[1])
    assert index.check() == []


def test_hours_of_one_pass_share_a_filling(index):
    """All markets of one catch-up share the one row that says where they come from."""
    for number in range(5):
        fill(index, 0, 3, f"COIN{number}-USDT", created_at=NOW + timedelta(seconds=number))
    assert changes_of(index) == 1
    fill(index, 0, 3, "LATE-USDT", created_at=NOW + timedelta(minutes=2))
    assert changes_of(index) == 2


def test_a_long_series_is_written_in_one_piece(index):
    """More rows than one batch holds arrive with their counts and periods."""
    rows, bars = content(Timeframe.M15, START, at(130_000, Timeframe.M15))
    state = fill(index, 0, 130_000, timeframe=Timeframe.M15)
    assert len(bars) > 100_000
    assert state.counts.to_bytes() == RegimeCounts.of(rows).to_bytes()
    assert index.get_regimes(KEY, Timeframe.M15, 0, ALWAYS).same_as(rows)
    assert index.size_bytes() > 1_000_000


def test_threads_that_write_one_series_take_turns(index):
    """Whoever is second writes upon what the first one left; counts and periods are those of the rows."""
    ready = threading.Barrier(4)

    def rewritten(variant: int) -> None:
        ready.wait()
        for start in range(0, 60, 20):
            fill(index, 0, start + 20, variant=variant)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(rewritten, variant) for variant in range(4)]:
            done.result()
    assert index.check() == []
    held = index.get_regimes(KEY, H1, 0, ALWAYS)
    assert any(held.same_as(content(H1, at(0), at(60), variant)[0]) for variant in range(4))


def test_threads_that_read_see_whole_writes(index):
    """A question in the middle of a rewrite is answered from before or after it."""
    fill(index, 0, 60)
    over, seen = threading.Event(), []

    def asked() -> None:
        while not over.is_set():
            seen.append(index.get_regimes(KEY, H1, 0, ALWAYS))

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(asked) for _ in range(2)]
        try:
            for variant in range(1, 9):
                fill(index, 0, 60, variant=variant)
        finally:
            over.set()
        for reader in readers:
            reader.result()
    possible = [content(H1, at(0), at(60), variant)[0] for variant in range(9)]
    assert seen
    assert all(any(found.same_as(one) for one in possible) for found in seen)


KILLED = """
import os, sys
from store.index import writing
from store.index.regime_index import RegimeIndex
from tests.store.index.samples import fill
index = RegimeIndex.open(sys.argv[1])
writing._keep_state = lambda *kept: os._exit(9)  # the last statement of a write
fill(index, 0, 80, variant=1)
"""


def test_a_process_killed_in_the_middle_of_a_write_leaves_the_old_state(index):
    """Rows, counts and periods are those from before; the next write goes on."""
    before = fill(index, 0, 60)
    url = str(index._database.engine.url.render_as_string(hide_password=False)).replace("+psycopg", "")
    killed = subprocess.run([sys.executable, "-c", KILLED, url], capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    after = index.state(KEY, H1)
    assert (after.revision, after.filled_to_ts) == (before.revision, before.filled_to_ts)
    assert index.get_regimes(KEY, H1, 0, ALWAYS).same_as(content(H1, at(0), at(60))[0])
    assert index.check() == []
    assert fill(index, 0, 80, variant=1).filled_to_ts == at(80)
    assert index.check() == []


READER = """
import sys
from store.index.regime_index import RegimeIndex
from market.hours import Timeframe
index = RegimeIndex.open(sys.argv[1], create=False)
print("ready", flush=True)
for line in sys.stdin:
    rows = index.get_regimes("ETH-USDT", Timeframe.H1, 0, 1 << 40)
    print(len(rows), len(index.check()), flush=True)
index.close()
"""


def test_another_process_reads_while_one_writes(tmp_path: Path):
    """A command that asks a daemon's file sees each write as soon as it is there, and breaks nothing."""
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    index = RegimeIndex.open(url)
    fill(index, 0, 5, gaps=False)
    with subprocess.Popen(
        [sys.executable, "-c", READER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == "ready\n"
        for end in range(6, 12):
            fill(index, end - 1, end, gaps=False)
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"{end} 0\n"
        reader.stdin.close()
        assert reader.wait(30) == 0
    index.close()
