"""The regime index: computing rows, keeping them at three sizes on both engines, and telling them by HTTP.

Computing is what fills an index and answers what is not stored: bars to `RegimeRows`, one fold. The peer is
the naive way, each candle's row from a window of its own with pandas and TA-Lib, on a sample and scaled; it
tells the same regime in 95 of 100 rows at least, which is asserted, and has no confidence.

The store is asked with its pages in the memory of the system, every time for another series. Rows are those
of seeded walks; a size is filled on top of the size before, one series a call. The peer is the table as
chapter 6 designs it, in SQLite, at the size that stands beside it: names as text, a rowid, three secondary
indexes, no candles, no prices of periods, no summaries, no rules. Where it is as large, its answers are
asserted to be ours. Bulk insert writes candle, row and summaries for ours and the row alone for the peer.
First open is what a daemon does at its start, an SQLite file is checked as a whole; a command that only asks
does not check it, and the peer never does. PostgreSQL runs with its own settings but for fsync, which is off,
and is asked after VACUUM ANALYZE, which it does by itself within minutes. 20 kB a 1,000 rows is a goal of the
file: PostgreSQL's own header of a row and its entry in the key take more than that before any number.

The API is the daemon's own site over the cycles' house, asked by another process over four kept connections
without compression unless it is said; a month is 720 rows. At rest nothing else happens; otherwise the same
process judges a market's hour after hour without a pause, each then indexed, which in service happens once an
hour. An uncached question was never asked before. The limit is /health/live of the same server in the same
state, which reads a few numbers from memory: client, sockets and aiohttp are in both figures.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench import regime_api, regime_store
from bench.figures import Figure
from bench.regime_api import api_figures
from bench.regime_rows import computing_figures
from bench.regime_store import store_figures


def run(*, quick: bool) -> list[Figure]:
    """Return the figures."""
    if quick:
        figures = computing_figures(((120, None), (1_000, None)), runs=2, sample=12)
    else:
        figures = computing_figures(((120, 1.0), (10_000, 10.0)), runs=30, sample=100)
    with TemporaryDirectory(prefix="bench-regimes-") as name:
        figures += store_figures(regime_store.QUICK if quick else regime_store.FULL, Path(name))
        figures += api_figures(regime_api.QUICK if quick else regime_api.FULL, Path(name) / "house")
    return figures
