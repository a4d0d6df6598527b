"""How plain strategies fared in the day after each hour, by the regime of the hour that they start in.

All are simulated over the same recorded hours, each from the hour's close on and for 24 hours:

- grid: the standard grid of the hour (half coin, half cash, the hour's own range), every fill's fee paid;
- grid_mirrored: the same grid on the path with every log return's sign turned: what chance alone gives;
- holding: the coin and cash that the grid begins with, never traded;
- grid_over_holding: the first less the third, hour by hour: what trading in the grid added.

The coin at the start is there already and coin at the end is valued at the last close, for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.measures import Weeks
from decisions.calibration.values import standard_days
from market.candles import Bars, Floats, Ints
from market.hours import Timeframe
from regime.components.states import SIMPLIFIED, Codes
from regime.history import JudgedHours
from regime.series import NO_VERDICT, VERDICTS, RegimeRows

STRATEGIES = ("grid", "grid_mirrored", "holding", "grid_over_holding")
FEWEST_WEEKS = 8  # of fewer calendar weeks an interval would only look like one


@dataclass(frozen=True, slots=True, eq=False)
class StrategyDays:
    """What each strategy was worth after each hour.

    Attributes:
        ts: Opens of the hours they start in, epoch seconds, shape (n,).
        net_bps: By strategy, shape (n,): gain over 24 h after costs, bps of the starting value.
        regime: Simplified regime of the hour, place in `SIMPLIFIED`, shape (n,).
        verdict: Place in `VERDICTS`, shape (n,).
        without_row: Hours left out because the hour has no regime.
        without_grid: Hours left out because their range is not valid, the close lies outside it, no grid fits
            or the day after is not recorded whole.
    """

    ts: Ints
    net_bps: Mapping[str, Floats]
    regime: Codes
    verdict: Codes
    without_row: int
    without_grid: int

    def __len__(self) -> int:
        return int(self.ts.shape[0])


def strategy_days(
    hours: JudgedHours, bars: Bars, price_scale: int, maker_bps: float, rows: RegimeRows
) -> StrategyDays:
    """Return what each strategy was worth after every judged hour that has a regime and a grid.

    Args:
        hours: Judged hours, those that are wanted.
        bars: All 1h bars that the hours were judged from, and the day after the last one.
        price_scale: Of the bars.
        maker_bps: Fee of each fill.
        rows: 1h regime rows.

    Raises:
        ValueError: Rows of another timeframe.
    """
    if rows.timeframe is not Timeframe.H1:
        raise ValueError(f"rows of {rows.timeframe.value}, expected 1h: only they have a verdict")
    days = standard_days(hours, bars, price_scale, maker_bps)
    place = np.searchsorted(rows.ts, hours.ts)
    has_row = np.zeros(len(hours), dtype=np.bool_)
    if len(rows):
        has_row = rows.ts[np.minimum(place, len(rows) - 1)] == hours.ts
        has_row &= rows.verdict[np.minimum(place, len(rows) - 1)] != NO_VERDICT
    has_grid = np.isfinite(days.against_cash_bps) & np.isfinite(days.mirrored_against_cash_bps)
    keep = has_row & has_grid
    grid, over = days.against_cash_bps[keep], days.against_hold_bps[keep]
    net = (grid, days.mirrored_against_cash_bps[keep], grid - over, over)
    return StrategyDays(
        hours.ts[keep],
        dict(zip(STRATEGIES, net, strict=True)),
        rows.simplified[place[keep]],
        rows.verdict[place[keep]],
        without_row=int(np.count_nonzero(~has_row)),
        without_grid=int(np.count_nonzero(has_row & ~has_grid)),
    )


def fares_by_regime(days: StrategyDays) -> dict[str, Any]:
    """Return how each strategy fared over all hours, by simplified regime and by verdict, JSON-ready.

    A group tells for each strategy `mean_net_bps` with its 95 % interval `low` to `high` (bootstrap over
    calendar weeks; None with fewer than FEWEST_WEEKS of them) and `share_positive`, over `hours` in `weeks`.
    """
    weeks = Weeks(days.ts)
    everywhere = np.ones(len(days), dtype=np.bool_)
    regimes = [regime.value for regime in SIMPLIFIED]
    verdicts = [verdict.value for verdict in VERDICTS]
    return {
        "all": _group(days, everywhere, weeks),
        "by_simplified_regime": _groups(days, days.regime, regimes, weeks),
        "by_verdict": _groups(days, days.verdict, verdicts, weeks),
    }


def _groups(days: StrategyDays, codes: Codes, names: Sequence[str], weeks: Weeks) -> dict[str, Any]:
    return {name: _group(days, codes == code, weeks) for code, name in enumerate(names)}


def _group(days: StrategyDays, among: NDArray[np.bool_], weeks: Weeks) -> dict[str, Any]:
    held = Weeks(days.ts[among]).count
    return {
        "hours": int(np.count_nonzero(among)),
        "weeks": held,
        "strategies": {
            name: _figures(net, among, weeks, trusted=held >= FEWEST_WEEKS)
            for name, net in days.net_bps.items()
        },
    }


def _figures(net: Floats, among: NDArray[np.bool_], weeks: Weeks, *, trusted: bool) -> dict[str, Any]:
    if not among.any():
        return {"mean_net_bps": None, "low": None, "high": None, "share_positive": None}
    found = weeks.mean(net, among)
    return {
        "mean_net_bps": found.value,
        "low": found.low if trusted else None,
        "high": found.high if trusted else None,
        "share_positive": round(float(np.mean(net[among] > 0)), 6),
    }
