"""Rows and bars that follow from their time alone, so that a rewritten hour is the same hour again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from market.candles import Bars
from market.hours import Timeframe
from regime.series import NO_VERDICT, RegimeRows, RegimeRules
from store.index.regime_index import RegimeIndex, SeriesState

START = 1_577_836_800  # 2020-01-01
NOW = datetime(2026, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)
RULES = RegimeRules(3, "sha256:" + "ab" * 32)
OTHER_RULES = RegimeRules(4, "sha256:" + "cd" * 32)
SOURCE = "a1" * 20
KEY = "ETH-USDT"
H1 = Timeframe.H1


def content(
    timeframe: Timeframe, start_ts: int, end_ts: int, variant: int = 0, gaps: bool = True
) -> tuple[RegimeRows, Bars]:
    """Return rows and bars of [start_ts, end_ts): some bars are missing, some have no row."""
    step = timeframe.seconds
    number = np.arange(-(-start_ts // step), -(-end_ts // step), dtype=np.int64)
    dice = (number * 7919 + variant * 104_729) * 2_654_435_761 % (1 << 31)
    has_bar = (dice % 11 != 0) | (not gaps)
    has_row = has_bar & ((dice % 13 != 0) | (not gaps))
    lasting = (number // 3 * 7919 + variant) * 2_654_435_761 % (1 << 31)
    opened = 20_000 + dice % 977
    bars = Bars(timeframe, number * step, opened, opened + 9, opened - 9, opened + dice % 7, dice)
    verdict = dice % 4 if timeframe is H1 else np.full(len(dice), NO_VERDICT)
    rows = RegimeRows(
        timeframe,
        number * step,
        (lasting % 18).astype(np.int8),
        verdict.astype(np.int8),
        (dice % 10_001).astype(np.int16),
    ).where(has_row)
    return rows, Bars(timeframe, *(column[has_bar] for column in bars.columns()))


def fill(
    index: RegimeIndex,
    start: int,
    end: int,
    symbol: str = KEY,
    timeframe: Timeframe = H1,
    *,
    variant: int = 0,
    gaps: bool = True,
    **change: Any,
) -> SeriesState:
    """Insert the bars numbered [start, end) after START."""
    start_ts, end_ts = START + start * timeframe.seconds, START + end * timeframe.seconds
    rows, bars = content(timeframe, start_ts, end_ts, variant, gaps)
    wanted: dict[str, Any] = {
        "rows": rows,
        "bars": bars,
        "price_scale": 100,
        "volume_scale": 10**8,
        "start_ts": start_ts,
        "filled_to_ts": end_ts,
        "rules": RULES,
        "source": SOURCE,
        "created_at": NOW,
    } | change
    return index.insert_regimes(symbol, timeframe, wanted.pop("rows"), wanted.pop("bars"), **wanted)


def at(number: int, timeframe: Timeframe = H1) -> int:
    """Return the open of a bar by its number after START."""
    return START + number * timeframe.seconds
