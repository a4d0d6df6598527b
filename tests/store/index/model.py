"""The index as plain dictionaries: what a reader would say it holds, and every answer counted anew."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from market.candles import Bars, bars_of
from market.hours import Timeframe
from regime.series import SIMPLIFIED_OF_FULL, RegimeCounts, RegimeRows, RegimeRules, periods_of
from store.index.regime_index import PricedPeriod

Row = tuple[int, int, int]
Bar = tuple[int, int, int, int, int]


@dataclass
class Held:
    """One series."""

    timeframe: Timeframe
    rules: RegimeRules
    price_scale: int
    filled_to_ts: int
    source: str
    changes: int = 0
    rows: dict[int, Row] = field(default_factory=dict)
    bars: dict[int, Bar] = field(default_factory=dict)

    def cells(self, before_ts: int) -> tuple[dict[int, Row], dict[int, Bar]]:
        return (
            {ts: row for ts, row in self.rows.items() if ts < before_ts},
            {ts: bar for ts, bar in self.bars.items() if ts < before_ts},
        )

    def regimes(self) -> RegimeRows:
        ts = sorted(self.rows)
        columns = np.array([self.rows[one] for one in ts], dtype=np.int64).reshape(-1, 3).T
        return RegimeRows(
            self.timeframe,
            np.array(ts, dtype=np.int64),
            columns[0].astype(np.int8),
            columns[1].astype(np.int8),
            columns[2].astype(np.int16),
        )

    def candles(self) -> Bars:
        return bars_of(self.timeframe, [(ts, *self.bars[ts]) for ts in sorted(self.bars)])

    def periods(self) -> list[PricedPeriod]:
        return [
            PricedPeriod(period, self.bars[period.first_ts][0], self.bars[period.last_ts][3])
            for period in periods_of(self.regimes())
        ]

    def counts(self) -> RegimeCounts:
        return RegimeCounts.of(self.regimes())


@dataclass
class Model:
    """All series, by key; changes count how often a series' revision rose."""

    series: dict[tuple[str, Timeframe], Held] = field(default_factory=dict)

    def insert(
        self,
        key: tuple[str, Timeframe],
        rows: RegimeRows,
        bars: Bars,
        start_ts: int,
        filled_to_ts: int,
        rules: RegimeRules,
        price_scale: int,
        source: str,
    ) -> bool:
        """Insert as the index is to; False where it must refuse."""
        held = self.series.get(key)
        new_rows = dict(
            zip(
                rows.ts.tolist(),
                zip(rows.full.tolist(), rows.verdict.tolist(), rows.confidence.tolist(), strict=True),
                strict=True,
            )
        )
        figures = zip(*(column.tolist() for column in bars.columns()[1:]), strict=True)
        new_bars = dict(zip(bars.ts.tolist(), figures, strict=True))
        if held is None:
            held = self.series[key] = Held(key[1], rules, price_scale, start_ts, source)
            before = held.cells(start_ts)
        elif (held.rules, held.price_scale) != (rules, price_scale):
            if held.bars and start_ts > min(held.bars):
                return False
            held.rules, held.price_scale, held.filled_to_ts = rules, price_scale, start_ts
            held.rows, held.bars = {}, {}
            held.changes += 1
            before = held.cells(start_ts)
        elif start_ts > held.filled_to_ts:
            return False
        else:
            before = held.cells(held.filled_to_ts)
        old_end = held.filled_to_ts
        held.rows = {ts: row for ts, row in held.rows.items() if ts < start_ts} | new_rows
        held.bars = {ts: bar for ts, bar in held.bars.items() if ts < start_ts} | new_bars
        held.filled_to_ts, held.source = filled_to_ts, source
        held.changes += held.cells(old_end) != before or filled_to_ts < old_end
        return True

    def delete(self, symbol: str, timeframe: Timeframe | None, start_ts: int | None) -> int:
        """Delete as the index is to; return how many rows go."""
        gone = 0
        for key in [key for key in self.series if key[0] == symbol and timeframe in (None, key[1])]:
            held = self.series[key]
            if start_ts is None:
                gone += len(held.rows)
                del self.series[key]
            elif start_ts < held.filled_to_ts:
                rows, held.bars = held.cells(start_ts)
                gone += len(held.rows) - len(rows)
                held.rows, held.filled_to_ts = rows, start_ts
                held.changes += 1
        return gone

    def transitions(self, before: int, after: int) -> list[tuple[str, Timeframe, PricedPeriod]]:
        ordered = sorted(self.series.items(), key=lambda item: (item[0][0], item[0][1].value))
        return [
            (*key, period)
            for key, held in ordered
            for period in held.periods()
            if (period.period.previous, period.period.regime) == (before, after)
        ]


def matching(
    rows: RegimeRows, simplified: int | None, verdict: int | None, confidence: int | None
) -> RegimeRows:
    """Return the rows that a filter lets through."""
    keep = np.ones(len(rows), dtype=bool)
    if simplified is not None:
        keep &= SIMPLIFIED_OF_FULL[rows.full] == simplified
    if verdict is not None:
        keep &= rows.verdict == verdict
    if confidence is not None:
        keep &= rows.confidence >= confidence
    return rows.where(keep)
