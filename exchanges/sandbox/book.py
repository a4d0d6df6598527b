"""The candles of a market as KuCoin would show them at one instant, ready as JSON rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from exchanges.columns import (
    TURNOVER_DECIMALS,
    Columns,
    decimal_texts,
    joined,
    no_columns,
    overlaid,
    rounded,
)
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.market import SandboxMarket
from market.units import decimals

MOST_ROWS = 1500
_CHUNK_ROWS = 240
_CHUNKS_KEPT = 600


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Rows of a fixed stretch of time, written once."""

    ts: list[int]
    rows: list[bytes]


class CandleBook:
    """Shows a market as of an instant: closed candles, the forming one, and what a script does to them."""

    def __init__(self, market: SandboxMarket) -> None:
        self._market = market
        self._price_decimals = {r.symbol: decimals(r.price_increment) for r in market.symbols}
        self._size_decimals = {r.symbol: decimals(r.base_increment) for r in market.symbols}
        self._chunks: OrderedDict[tuple[str, int, int], _Chunk] = OrderedDict()

    def rows(
        self,
        symbol: str,
        seconds: int,
        start_at: int,
        end_at: int,
        now_ts: float,
        edits: Sequence[Fault] = (),
    ) -> list[bytes]:
        """Return the candles that open in [start_at, end_at], newest first, at most the newest 1500.

        Args:
            now_ts: Instant of the exchange's clock; the candle that holds it is shown as far as it got.
            edits: Faults of the kinds gap, no_trade and revision.
        """
        forming_ts = int(now_ts) - int(now_ts) % seconds
        first = -(-start_at // seconds) * seconds
        end = min(-(-(end_at + 1) // seconds) * seconds, forming_ts + seconds)
        first = max(first, end - MOST_ROWS * seconds)
        if edits:
            rows = self._written(self._edited(symbol, seconds, first, end, now_ts, edits))
        else:
            rows = self._closed_rows(symbol, seconds, first, min(end, forming_ts))
            if first <= forming_ts < end:
                rows += self._written(self.forming(symbol, seconds, now_ts))
        rows.reverse()
        return rows[:MOST_ROWS]

    def forming(self, symbol: str, seconds: int, now_ts: float) -> Columns:
        """Return the candle that holds the instant as far as it got; nothing where nothing traded yet."""
        minute_ts = int(now_ts) - int(now_ts) % 60
        open_ts = int(now_ts) - int(now_ts) % seconds
        minutes = joined(
            [
                self._market.bars(symbol, 60, open_ts, minute_ts),
                self._forming_minute(symbol, minute_ts, (now_ts - minute_ts) / 60),
            ]
        )
        return minutes.aggregated(seconds)[0]

    def last_price(self, symbol: str, now_ts: float) -> float | None:
        """Return the price of the newest trade, None where the market has none."""
        recent = self.forming(symbol, 60, now_ts)
        for seconds, reach_s in ((60, 86_400), (3600, 30 * 86_400)):
            if len(recent):
                break
            closed_ts = int(now_ts) - int(now_ts) % seconds
            recent = self._market.bars(symbol, seconds, closed_ts - reach_s, closed_ts)
        return float(recent.close[-1]) if len(recent) else None

    def day(self, symbol: str, now_ts: float) -> Columns:
        """Return the last 24 hours as one candle, nothing where nothing traded."""
        end = int(now_ts) - int(now_ts) % 60
        minutes = self._market.bars(symbol, 60, end - 86_400, end)
        if not len(minutes):
            return no_columns()
        return replace(minutes, ts=np.zeros(len(minutes), dtype=np.int64)).aggregated(60)[0]

    def _forming_minute(self, symbol: str, minute_ts: int, share: float) -> Columns:
        whole = self._market.bars(symbol, 60, minute_ts, minute_ts + 60)
        volume = rounded(whole.volume * share, self._size_decimals[symbol])
        if not len(whole) or not volume[0]:
            return no_columns()
        close = rounded(whole.open + (whole.close - whole.open) * share, self._price_decimals[symbol])
        seen = share >= 0.5  # the extremes of a minute come in its middle
        return Columns(
            whole.ts,
            whole.open,
            whole.high if seen else np.maximum(whole.open, close),
            whole.low if seen else np.minimum(whole.open, close),
            close,
            volume,
        )

    def _closed_rows(self, symbol: str, seconds: int, start_ts: int, end_ts: int) -> list[bytes]:
        rows: list[bytes] = []
        if end_ts <= start_ts:
            return rows
        span = _CHUNK_ROWS * seconds
        for number in range(start_ts // span, (end_ts - 1) // span + 1):
            chunk = self._chunk(symbol, seconds, number)
            first, last = np.searchsorted(chunk.ts, (start_ts, end_ts)) if chunk.ts else (0, 0)
            rows += chunk.rows[first:last]
        return rows

    def _chunk(self, symbol: str, seconds: int, number: int) -> _Chunk:
        name = (symbol, seconds, number)
        if name not in self._chunks:
            span = _CHUNK_ROWS * seconds
            columns = self._market.bars(symbol, seconds, number * span, (number + 1) * span)
            self._chunks[name] = _Chunk(columns.ts.tolist(), self._written(columns))
            if len(self._chunks) > _CHUNKS_KEPT:
                self._chunks.popitem(last=False)
        self._chunks.move_to_end(name)
        return self._chunks[name]

    @staticmethod
    def _written(columns: Columns) -> list[bytes]:
        """Return one JSON array a candle: time, open, CLOSE, HIGH, LOW, volume, turnover, all strings.

        Turnover is approximated: volume x mean price.
        """
        mean = (columns.open + columns.high + columns.low + columns.close) / 4
        turnover = rounded(columns.volume * mean, TURNOVER_DECIMALS)
        in_order = (columns.open, columns.close, columns.high, columns.low, columns.volume, turnover)
        texts = [decimal_texts(column.tolist()) for column in in_order]
        ts = map(str, columns.ts.tolist())
        return [('["' + '","'.join(row) + '"]').encode() for row in zip(ts, *texts, strict=True)]

    def _edited(
        self, symbol: str, seconds: int, start_ts: int, end_ts: int, now_ts: float, edits: Sequence[Fault]
    ) -> Columns:
        columns = self._seen(symbol, seconds, start_ts, end_ts, now_ts)
        for edit in edits:
            rows_from, rows_to = edit.concerns_rows()
            if edit.kind == "gap":
                columns = columns.where((columns.ts < rows_from) | (columns.ts >= rows_to))
                continue
            first = max(start_ts, rows_from - rows_from % seconds)
            last = min(end_ts, -(-rows_to // seconds) * seconds)
            if first < last:
                minutes = _edited_minutes(self._seen(symbol, 60, first, last, now_ts), edit, now_ts)
                outside = columns.where((columns.ts < first) | (columns.ts >= last))
                columns = overlaid(outside, minutes.aggregated(seconds)[0])
        return columns

    def _seen(self, symbol: str, seconds: int, start_ts: int, end_ts: int, now_ts: float) -> Columns:
        """Return closed candles of the span and the forming one, if the span holds it."""
        forming_ts = int(now_ts) - int(now_ts) % seconds
        closed = self._market.bars(symbol, seconds, start_ts, min(end_ts, forming_ts))
        if not start_ts <= forming_ts < end_ts:
            return closed
        return joined([closed, self.forming(symbol, seconds, now_ts)])


def _edited_minutes(minutes: Columns, edit: Fault, now_ts: float) -> Columns:
    rows_from, rows_to = edit.concerns_rows()
    concerned = (minutes.ts >= rows_from) & (minutes.ts < rows_to)
    if edit.kind == "no_trade":
        return minutes.where(~concerned)
    revised = concerned & (minutes.ts + edit.after_s <= now_ts)
    return replace(
        minutes,
        volume=np.where(revised, rounded(minutes.volume * edit.volume_factor, 8), minutes.volume),
    )
