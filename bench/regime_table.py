"""The peer of the store: the table that chapter 6 designs, as most programs would make it in SQLite.

Names as text, one row with its creation time as text, a primary key of three columns beside the rowid, and
secondary indexes by time, by simplified regime and by confidence. It keeps no candles, no summaries and no
rules, so that the prices of a period and stale rows are unknown to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from regime.components.states import FULL_REGIMES, MOMENTA, SIMPLIFIED, TRENDS, VOLATILITIES
from regime.series import (
    CONFIDENCE_UNIT,
    MOMENTUM_OF_FULL,
    SIMPLIFIED_OF_FULL,
    TREND_OF_FULL,
    VERDICTS,
    VOLATILITY_OF_FULL,
    RegimeRows,
)

_TABLE = """
CREATE TABLE market_regimes (
    symbol TEXT NOT NULL, timeframe TEXT NOT NULL, open_time TEXT NOT NULL,
    trend_state TEXT NOT NULL, volatility_state TEXT NOT NULL, momentum_state TEXT NOT NULL,
    full_regime TEXT NOT NULL, simplified_regime TEXT NOT NULL, verdict TEXT, confidence REAL NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (symbol, timeframe, open_time)
);
CREATE INDEX regimes_by_time ON market_regimes (symbol, timeframe, open_time DESC);
CREATE INDEX regimes_by_simplified ON market_regimes (simplified_regime);
CREATE INDEX regimes_by_confidence ON market_regimes (confidence);
"""
_MINE = "FROM market_regimes WHERE symbol = ? AND timeframe = '1h' AND open_time >= ? AND open_time < ?"
_RUNS = f"""
WITH changed AS (
    SELECT open_time, simplified_regime,
        simplified_regime IS NOT lag(simplified_regime) OVER (ORDER BY open_time) AS begins {_MINE}
), numbered AS (SELECT *, sum(begins) OVER (ORDER BY open_time) AS run FROM changed)
SELECT min(open_time), max(open_time), count(*), simplified_regime FROM numbered
GROUP BY run HAVING simplified_regime = 'TREND_UP' ORDER BY 1
"""
_CHANGES = f"""
WITH pairs AS (
    SELECT open_time, simplified_regime AS now, lag(simplified_regime) OVER (ORDER BY open_time) AS before
    {_MINE}
)
SELECT open_time FROM pairs WHERE before = 'CHOPPY' AND now = 'TREND_UP' ORDER BY open_time
"""
_STATS = (
    f"SELECT simplified_regime, count(*) {_MINE} GROUP BY simplified_regime",
    f"SELECT simplified_regime, min(cast(confidence * 20 AS INTEGER), 19), count(*) {_MINE} GROUP BY 1, 2",
    f"""
    WITH pairs AS (
        SELECT simplified_regime AS now, lag(simplified_regime) OVER (ORDER BY open_time) AS before {_MINE}
    ) SELECT before, now, count(*) FROM pairs WHERE before IS NOT NULL GROUP BY 1, 2
    """,
)
_ALL_CHANGES = """
WITH pairs AS (
    SELECT simplified_regime AS now,
        lag(simplified_regime) OVER (PARTITION BY symbol, timeframe ORDER BY open_time) AS before
    FROM market_regimes
) SELECT before, now, count(*) FROM pairs WHERE before IS NOT NULL GROUP BY 1, 2
"""
_ALL_CONFIDENCES = """
SELECT simplified_regime, min(cast(confidence * 20 AS INTEGER), 19), count(*)
FROM market_regimes GROUP BY 1, 2
"""


class PlainTable:
    """An SQLite file with the table as designed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = sqlite3.connect(path, isolation_level=None)
        self._handle.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; {_TABLE}")

    def close(self) -> None:
        self._handle.close()

    def reopened(self) -> int:
        """Open the file once more and ask for one row."""
        handle = sqlite3.connect(self._path)
        try:
            return int(handle.execute("SELECT max(rowid) FROM market_regimes").fetchone()[0])
        finally:
            handle.close()

    def insert(self, symbol: str, rows: RegimeRows) -> None:
        """Add rows in one transaction."""
        self._handle.execute("BEGIN")
        marks = ", ".join("?" * 11)
        self._handle.executemany(f"INSERT INTO market_regimes VALUES ({marks})", _texts(symbol, rows))
        self._handle.execute("COMMIT")

    def periods(self, symbol: str, start_ts: int, end_ts: int) -> int:
        """Return how many TREND_UP periods of the range there are, each fetched, clipped at its ends."""
        return len(self._all(_RUNS, symbol, start_ts, end_ts))

    def changes(self, symbol: str, start_ts: int, end_ts: int) -> int:
        return len(self._all(_CHANGES, symbol, start_ts, end_ts))

    def stats(self, symbol: str, start_ts: int, end_ts: int) -> int:
        found = [self._all(statement, symbol, start_ts, end_ts) for statement in _STATS]
        return int(sum(count for _, count in found[0]))

    def rows(self, symbol: str, start_ts: int, end_ts: int) -> int:
        return len(self._all(f"SELECT * {_MINE} ORDER BY open_time", symbol, start_ts, end_ts))

    def latest(self, symbol: str, count: int) -> int:
        asked = (
            f"SELECT * {_MINE.partition(' AND open_time')[0]} ORDER BY open_time DESC LIMIT {count}"  # newest
        )
        return len(self._handle.execute(asked, (symbol,)).fetchall())

    def all_changes(self) -> int:
        return sum(row[2] for row in self._handle.execute(_ALL_CHANGES).fetchall())

    def all_confidences(self) -> int:
        return sum(row[2] for row in self._handle.execute(_ALL_CONFIDENCES).fetchall())

    def bytes_used(self) -> int:
        self._handle.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._path.stat().st_size

    def _all(self, statement: str, symbol: str, start_ts: int, end_ts: int) -> list[tuple[str, int]]:
        return self._handle.execute(statement, (symbol, _time(start_ts), _time(end_ts))).fetchall()


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _texts(symbol: str, rows: RegimeRows) -> Iterator[tuple[str | float | None, ...]]:
    columns: Iterable[tuple[int, int, int, int]] = zip(
        rows.ts.tolist(), rows.full.tolist(), rows.verdict.tolist(), rows.confidence.tolist(), strict=True
    )
    for ts, full, verdict, confidence in columns:
        opened = _time(ts)
        yield (
            symbol,
            "1h",
            opened,
            TRENDS[TREND_OF_FULL[full]].value,
            VOLATILITIES[VOLATILITY_OF_FULL[full]].value,
            MOMENTA[MOMENTUM_OF_FULL[full]].value,
            FULL_REGIMES[full],
            SIMPLIFIED[SIMPLIFIED_OF_FULL[full]].value,
            None if verdict < 0 else VERDICTS[verdict].value,
            confidence / CONFIDENCE_UNIT,
            opened,
        )
