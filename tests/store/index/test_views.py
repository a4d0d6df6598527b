"""What an analyst sees who opens the index with the engine's own tools."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import psycopg
import pytest
from sqlalchemy import text

from market.candles import Bars
from market.hours import Timeframe
from regime.components.states import FULL_REGIMES
from regime.series import RegimeRows
from store.index.regime_index import RegimeIndex
from tests.store.index.conftest import migrated
from tests.store.index.samples import KEY, NOW, RULES, fill

TS = 1_767_225_600  # 2026-01-01
CANDLES = (
    "SELECT symbol, timeframe, open_time, open, high, low, close, volume FROM candles ORDER BY open_time"
)
REGIMES = """
SELECT symbol, timeframe, open_time, trend_state, volatility_state, momentum_state, full_regime,
    simplified_regime, verdict, confidence, created_at
FROM market_regimes ORDER BY timeframe, open_time
"""


def told(index):
    """Write two hours and a bar of fifteen minutes with figures that are easy to read."""

    def column(*values):
        return np.array(values, dtype=np.int64)

    full = FULL_REGIMES.index("UPTREND_LOWVOL_BULLISH"), FULL_REGIMES.index("NEUTRAL_HIGHVOL_WEAK")
    for timeframe, verdicts in ((Timeframe.H1, (3, -1)), (Timeframe.M15, (-1, -1))):
        ts = column(TS, TS + timeframe.seconds)
        index.insert_regimes(
            KEY,
            timeframe,
            RegimeRows(
                timeframe,
                ts,
                np.array(full, dtype=np.int8),
                np.array(verdicts, dtype=np.int8),
                np.array([10_000, 7], dtype=np.int16),
            ),
            Bars(
                timeframe,
                ts,
                column(300_050, 1),
                column(300_101, 2),
                column(299_999, 1),
                column(300_100, 2),
                column(123_456_789, 0),
            ),
            price_scale=100,
            volume_scale=10**8,
            start_ts=TS,
            filled_to_ts=TS + 2 * timeframe.seconds,
            rules=RULES,
            source="a1" * 20,
            created_at=NOW,
        )


def test_sqlite_views_give_names_decimals_and_utc(tmp_path):
    """The columns of chapter 6 under their names; times are UTC text that says so."""
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.sqlite'}")
    told(index)
    index.close()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as analyst:
        candles, regimes = analyst.execute(CANDLES).fetchall(), analyst.execute(REGIMES).fetchall()
    opened = "2026-01-01T00:00:00Z"
    assert candles[0] == (KEY, "1h", opened, 3000.5, 3001.01, 2999.99, 3001.0, 1.23456789)
    uptrend = ("uptrend", "low", "bullish", "UPTREND_LOWVOL_BULLISH", "TREND_UP")
    neutral = ("neutral", "high", "weak", "NEUTRAL_HIGHVOL_WEAK", "CHOPPY")
    made = "2026-01-01T12:30:00Z"
    assert regimes == [
        (KEY, "15m", opened, *uptrend, None, 1.0, made),
        (KEY, "15m", "2026-01-01T00:15:00Z", *neutral, None, 0.0007, made),
        (KEY, "1h", opened, *uptrend, "TREND", 1.0, made),
        (KEY, "1h", "2026-01-01T01:00:00Z", *neutral, None, 0.0007, made),
    ]


@pytest.mark.servers
def test_postgresql_views_give_names_exact_decimals_and_instants(server):
    """The same with PostgreSQL's own types: numeric and timestamptz."""
    url = server.database()
    with migrated(url) as index:
        told(index)
    with psycopg.connect(url) as analyst:
        candles, regimes = analyst.execute(CANDLES).fetchall(), analyst.execute(REGIMES).fetchall()
    opened, made = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    figures = tuple(map(Decimal, ("3000.5", "3001.01", "2999.99", "3001", "1.23456789")))
    assert candles[0] == (KEY, candles[0][1], opened, *figures)
    assert str(candles[0][3]) == "3000.5"
    assert regimes[2] == (
        *(KEY, "1h", opened, "uptrend", "low", "bullish", "UPTREND_LOWVOL_BULLISH", "TREND_UP", "TREND"),
        *(Decimal("1.0000"), made),
    )
    assert regimes[1][7:] == ("CHOPPY", None, Decimal("0.0007"), made)


def test_views_tell_every_row_once(index):
    """As many rows as the tables have, series beside series."""
    for symbol in ("A", "B", "C"):
        fill(index, 0, 50, symbol)
    with index._database.reading() as connection:
        for view, table in (("candles", "candle_rows"), ("market_regimes", "regime_rows")):
            counted = connection.execute(text(f"SELECT count(*) FROM {view}")).scalar_one()
            assert counted == connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() > 100
            one = connection.execute(text(f"SELECT count(*) FROM {view} WHERE symbol = 'B'")).scalar_one()
            assert one * 3 == counted
