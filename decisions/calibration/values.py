"""What a standard grid was worth in the day after each hour, by verdict and by probability band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.measures import Figure, Weeks, mean
from grid.standard import StandardDays, StandardGrid, batch_24h
from market.candles import Bars, Floats
from market.costs import ppm
from regime.history import JudgedHours


@dataclass(frozen=True, slots=True, eq=False)
class GridValues:
    """Net value over 24 hours against holding the same coin share, bps of the start value, shape (n,).

    Attributes:
        real: On the recorded path; NaN where the day is not recorded whole or no grid fits.
        mirrored: On the same path with every log return's sign turned: what chance alone gives.
        maker_bps: Fee of each fill, already taken off.
        bars_only: The path inside the hour is not known: read pessimistically from 1h bars.
    """

    real: Floats
    mirrored: Floats
    maker_bps: float
    bars_only: bool

    def where(self, keep: NDArray[np.bool_]) -> GridValues:
        return GridValues(self.real[keep], self.mirrored[keep], self.maker_bps, self.bars_only)

    def by_verdict(self, ok: NDArray[np.bool_], other: NDArray[np.bool_], weeks: Weeks) -> dict[str, Any]:
        """Return the mean value in hours called good, in the others, and by chance in the good ones."""
        return {
            "ok": self._mean(self.real, ok, weeks).as_json(),
            "other": self._mean(self.real, other, weeks).as_json(),
            "null": self._mean(self.mirrored, ok, weeks).as_json(),
            "maker_bps": self.maker_bps,
            "bars_only": self.bars_only,
        }

    def by_band(
        self, probability: Floats, bands: Sequence[tuple[float, float]], fewest: int, weeks: Weeks
    ) -> list[dict[str, Any]]:
        """Return the mean value by probability band; one with fewer hours is pooled with its neighbour.

        With too few hours in all there is one band without a value.
        """
        known = np.isfinite(self.real)
        wide: list[tuple[float, float]] = []
        low = bands[0][0]
        for _, end in bands:
            if np.count_nonzero(known & (probability >= low) & (probability < end)) >= fewest:
                wide.append((low, end))
                low = end
        last = bands[-1][1]
        if low != last:  # what is left at the top joins the band below it
            wide = [*wide[:-1], (wide[-1][0], last)] if wide else [(bands[0][0], last)]
        rows: list[dict[str, Any]] = []
        for low, end in wide:
            figure = self._mean(self.real, (probability >= low) & (probability < end), weeks)
            enough = figure.n >= fewest
            rows.append(
                {
                    "p_low": low,
                    "p_high": end,
                    "n": figure.n,
                    "net_bps_24h": figure.value if enough else None,
                    "low": figure.low if enough else None,
                    "high": figure.high if enough else None,
                    "maker_bps": self.maker_bps,
                }
            )
        return rows

    @staticmethod
    def _mean(values: Floats, inside: NDArray[np.bool_], weeks: Weeks) -> Figure:
        known = inside & np.isfinite(values)
        filled, share = np.where(known, values, 0.0), known.astype(np.float64)
        return weeks.figure(lambda w: mean(filled, w * share), int(known.sum()))


def grid_values(hours: JudgedHours, bars: Bars, price_scale: int, maker_bps: float) -> GridValues:
    """Return what a standard grid on each hour's own bounds was worth in the 24 hours after.

    Args:
        hours: Judged hours; those without a valid range, or outside it, get NaN.
        bars: The 1h bars that the hours were judged from.
        price_scale: Of the bars.
        maker_bps: Fee of each fill.
    """
    days = standard_days(hours, bars, price_scale, maker_bps)
    return GridValues(days.against_hold_bps, days.mirrored_against_hold_bps, maker_bps, bars_only=True)


def standard_days(hours: JudgedHours, bars: Bars, price_scale: int, maker_bps: float) -> StandardDays:
    """Return the standard grid of each hour over the 24 hours after it, a row an hour; see `grid_values`."""
    rows = np.flatnonzero(hours.valid & hours.inside)
    starts = np.searchsorted(bars.ts, hours.ts[rows])
    lower = np.rint(hours.lower[rows] * price_scale).astype(np.int64)
    upper = np.rint(hours.upper[rows] * price_scale).astype(np.int64)
    days = batch_24h(bars, starts, lower, upper, StandardGrid(maker_ppm=ppm(maker_bps)))

    def of_all(found: Floats) -> Floats:
        column = np.full(len(hours), np.nan)
        column[rows] = found
        return column

    levels = np.zeros(len(hours), dtype=np.int64)
    levels[rows] = days.levels
    return StandardDays(
        of_all(days.against_hold_bps),
        of_all(days.against_cash_bps),
        of_all(days.mirrored_against_hold_bps),
        of_all(days.mirrored_against_cash_bps),
        levels,
    )
