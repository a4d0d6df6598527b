"""The shelf of minutes: what is read once is kept, for each market by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from market.candles import Bars
from store.minutes import MinuteShelf
from tests.store.markets import COARSE_END, hour_file, hour_files, lay

KEYS = ("ETH-USDT", "BTC-USDT", "SOL-USDT")


def same(one: Bars, other: Bars) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.columns(), other.columns(), strict=True))


def read(shelf: MinuteShelf, key: str, first: int, last: int) -> Bars:
    return shelf.between(key, COARSE_END.plus(first), COARSE_END.plus(last))[0]


def test_no_market_takes_another_ones_place(tmp_path: Path):
    """Many markets look back the same span in turn: none is read from the disk a second time."""
    for key in KEYS:
        lay(tmp_path, hour_files(4, key))
    shelf = MinuteShelf(tmp_path, hours_kept=4)
    before = {key: read(shelf, key, 0, 4) for key in KEYS}
    shutil.rmtree(tmp_path / "snapshots")
    assert all(len(before[key]) == 240 and same(before[key], read(shelf, key, 0, 4)) for key in KEYS)


def test_the_hours_used_last_are_kept_and_no_more(tmp_path: Path):
    """What a market keeps is bounded; the hour that was used longest ago goes first."""
    lay(tmp_path, hour_files(4))
    shelf = MinuteShelf(tmp_path, hours_kept=3)
    read(shelf, KEYS[0], 0, 3)
    read(shelf, KEYS[0], 0, 1)
    read(shelf, KEYS[0], 3, 4)
    shutil.rmtree(tmp_path / "snapshots")
    assert [len(read(shelf, KEYS[0], hour, hour + 1)) for hour in range(4)] == [60, 0, 60, 60]


def test_an_hour_that_may_still_be_completed_is_read_again(tmp_path: Path):
    """A partial hour counts until the whole one has come, and then the whole one."""
    lay(tmp_path, hour_file(COARSE_END, missing=3))
    shelf = MinuteShelf(tmp_path)
    assert len(read(shelf, KEYS[0], 0, 1)) == 57
    lay(tmp_path, hour_file(COARSE_END))
    assert len(read(shelf, KEYS[0], 0, 1)) == 60


def test_a_damaged_hour_is_left_out(tmp_path: Path):
    """One that cannot be read is like one that is not there."""
    lay(tmp_path, hour_files(2))
    path = tmp_path / next(iter(hour_file(COARSE_END)))
    path.write_bytes(path.read_bytes()[:-40])
    assert len(read(MinuteShelf(tmp_path), KEYS[0], 0, 2)) == 60
