"""What a row costs on the disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from store.index.regime_index import RegimeIndex
from tests.store.index.samples import H1, fill


def test_a_thousand_regime_rows_with_their_summaries_take_less_than_twenty_kilobytes(tmp_path):
    """The goal of chapter 6, candles apart: rows, periods, counts and where they come from, pages and all."""
    path = tmp_path / "index.sqlite"
    index = RegimeIndex.open(f"sqlite:///{path}")
    rows = sum(fill(index, 0, 20_000, f"COIN{number}-USDT", H1).counts.rows for number in range(5))
    index.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as handle:
        handle.execute("DROP TABLE candle_rows")
        pages, unused, size = (
            handle.execute(f"PRAGMA {what}").fetchone()[0]
            for what in ("page_count", "freelist_count", "page_size")
        )
    assert rows > 80_000
    assert (pages - unused) * size / rows < 20
