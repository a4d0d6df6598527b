"""What stands beside the six metrics: never part of a verdict, but read by gates, exits and people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from market.candles import Bars, Floats
from market.errors import MetricUndefined
from regime.analysis import Verdict
from regime.columns import deviations_from_mean, medians, padded, ratios, sums, windows_ending
from regime.config import METRICS, MetricsConfig
from regime.folds import MetricFold, PriceFold
from regime.metrics.bandwidth import expansions
from regime.metrics.efficiency_ratio import efficiency_ratio
from regime.metrics.half_life import dickey_fuller_t, dickey_fuller_ts
from regime.metrics.slope import slope
from regime.precision import known, significant, significant_column

BARS_AGO = 3
EXCURSION_BARS = 48
DAY_BARS, WEEK_BARS = 24, 168
NO_REVERSION_H = 168.0  # what an infinite or unknown half-life counts in a median
COLUMNS = (
    "adx_3_bars_ago",
    "atr_pct",
    "atr_ratio",
    "dickey_fuller_t",
    "efficiency_ratio_3_bars_ago",
    "excursions_48h",
    "turnover_24h",
)


def atr_ratio(atr: Floats, bars: int = 168) -> float:
    """Return the newest ATR over the median of the last `bars`, itself included.

    Args:
        atr: Quote price, shape (n,), oldest first; NaN before it starts.
        bars: Readings behind the median.

    Raises:
        MetricUndefined: Fewer readings, or a median of 0.
    """
    window = windows_ending(atr, bars, atr.shape[0] - 1)
    found = ratios(window[:, -1], medians(window))
    return _newest("atr_ratio", found, f"needs {bars} ATR above 0")


def variance_ratio(log_closes: Floats, bars: int = 168, horizon: int = 24) -> float:
    """Return the variance of `horizon`-bar returns over that of one-bar returns, each a bar.

    Args:
        log_closes: ln of closes, shape (n,), oldest first.
        bars: One-bar returns in the sample.
        horizon: Bars of the overlapping long returns.

    Returns:
        Dimensionless: 1 for a walk, below 1 mean reversion, above 1 trend; both variances unbiased.

    Raises:
        MetricUndefined: Fewer closes, or all returns are the same.

    Source:
        A. W. Lo, A. C. MacKinlay, Review of Financial Studies 1, 1988.
    """
    closes = windows_ending(log_closes, bars + 1, log_closes.shape[0] - 1)
    short = deviations_from_mean(closes[:, 1:] - closes[:, :-1])
    drift = (closes[:, -1:] - closes[:, :1]) / bars
    long = closes[:, horizon:] - closes[:, :-horizon] - horizon * drift
    freedom = horizon * (bars - horizon + 1) * (1 - horizon / bars)
    found = ratios(sums(long * long) / freedom, sums(short * short) / (bars - 1))
    return _newest("variance_ratio", found, f"needs {bars + 1} closes that move")


def z_score(closes: Floats, bars: int = 48) -> float:
    """Return how many (population) standard deviations the newest close is above the mean of the last `bars`.

    Args:
        closes: Quote prices, shape (n,), oldest first.
        bars: Closes in mean and deviation, the newest included.

    Raises:
        MetricUndefined: Fewer closes, or all closes are the same.
    """
    return _newest(
        "z_score", z_scores(closes, bars, max(closes.shape[0] - 1, 0)), f"needs {bars} closes that move"
    )


def z_scores(closes: Floats, bars: int, first: int = 0) -> Floats:
    """Return the z-score at rows `first` and later, shape (n - first,); NaN where undefined."""
    apart = deviations_from_mean(windows_ending(closes, bars, first))
    found = ratios(apart[:, -1], np.sqrt(sums(apart * apart) / bars))
    return padded(found, closes.shape[0] - first)


def excursions(z: Floats, far: float, near: float, bars: int = EXCURSION_BARS) -> Floats:
    """Return how many excursions began and ended within the last `bars` z-scores.

    An excursion begins when |z| is at least `far` and is completed by the next |z| of at most `near`, on
    whichever side; a z that is not known (NaN) is neither.

    Args:
        z: As recorded, shape (n,), oldest first.
        far, near: Standard deviations.
        bars: Length of the window.

    Returns:
        Whole numbers, shape (n,); NaN in the first `bars` - 1 rows.
    """
    size = np.abs(z)
    ends: list[int] = []
    begins: list[int] = []  # the newest far one before each end: the excursion is in the window if it is
    away = -1
    for row in np.flatnonzero((size >= far) | (size <= near)).tolist():
        if size[row] >= far:
            away = row
        elif away >= 0:
            ends.append(row)
            begins.append(away)
            away = -1
    rows = np.arange(z.shape[0])
    found = np.searchsorted(ends, rows, side="right") - np.searchsorted(begins, rows - bars, side="right")
    return np.where(rows >= bars - 1, np.maximum(found, 0.0), np.nan)


def turnover(bars: Bars, price_scale: int, volume_scale: int) -> float:
    """Return the quote value traded in the last 24 bars, each at its close.

    Args:
        bars: 1h bars, oldest first; a bar that is not known counts for nothing.
        price_scale, volume_scale: Of the bars.

    Raises:
        MetricUndefined: Fewer than 24 bars.
    """
    traded = _turnovers(bars.rows(max(len(bars) - DAY_BARS, 0), len(bars)), price_scale, volume_scale)
    return _newest("turnover_24h", traded, f"needs {DAY_BARS} bars")


def turnover_24h(window_bars: Bars, price_scale: int, volume_scale: int) -> dict[str, float | None]:
    """Return the turnover of the last 24 1h bars under its recorded name, None with fewer bars."""
    return {"turnover_24h": _tried(lambda: turnover(window_bars, price_scale, volume_scale))}


def range_ok_medians(fold: MetricFold, verdicts: NDArray[np.int8], row: int) -> dict[str, float | None]:
    """Return the medians of half-life and ATR over the RANGE_OK hours of the last week, None without any.

    Args:
        fold: 1h metrics.
        verdicts: Rank of the deciding verdict of each hour, shape (row + 1,) or longer.
        row: The newest hour.
    """
    first = max(row + 1 - WEEK_BARS, 0)
    calm = first + np.flatnonzero(verdicts[first : row + 1] == Verdict.RANGE_OK.rank)
    half_lives = fold.values[METRICS.index("half_life"), calm]
    half_lives = np.where(np.isfinite(half_lives), half_lives, NO_REVERSION_H)
    return {
        "half_life_range_ok_7d": _median(half_lives),
        "atr_range_ok_7d": _median(fold.prices.atr[calm]),
    }


def diagnostic_columns(fold: MetricFold, volume_scale: int | None, config: MetricsConfig) -> Floats:
    """Return the diagnostics that gates read at every row, as `diagnose` and `turnover_24h` record them.

    Args:
        fold: 1h metrics; its bars hold volumes.
        volume_scale: Of these volumes; None leaves the turnover unknown.
        config: Lengths.

    Returns:
        In the order of `COLUMNS`, shape (7, n); NaN where undefined.
    """
    prices = fold.prices
    close = prices.quote(prices.bars.close)
    found = {
        "adx_3_bars_ago": _ago(fold.values[METRICS.index("adx")]),
        "atr_pct": 100 * prices.atr / close,
        "atr_ratio": expansions(prices.atr, config.median_bars),
        "dickey_fuller_t": dickey_fuller_ts(prices.log_close, config.half_life_bars),
        "efficiency_ratio_3_bars_ago": _ago(fold.values[METRICS.index("efficiency_ratio")]),
        "excursions_48h": _excursions(close, 0, config),
        "turnover_24h": np.full(len(fold), np.nan)
        if volume_scale is None
        else _turnovers(prices.bars, prices.price_scale, volume_scale),
    }
    return np.stack([significant_column(found[name]) for name in COLUMNS])


def diagnose(
    fold: MetricFold, four_hours: MetricFold, row: int, row_4h: int, config: MetricsConfig
) -> dict[str, float | None]:
    """Return the diagnostics of one hour, and the six metrics on 4h (half-life in 4h bars) with suffix `_4h`.

    Args:
        fold: 1h metrics.
        four_hours: 4h metrics.
        row: The hour's row in `fold`.
        row_4h: The last closed 4h bar's row in `four_hours`, -1 for none.
        config: Lengths.
    """
    prices = fold.prices
    count = row + 1
    close = prices.quote(prices.bars.close[:count])
    average_range = float(prices.average_range[row])
    log_close = prices.log_close[:count]
    found: dict[str, float | None] = {
        **{f"{name}_3_bars_ago": _before(fold, name, row) for name in ("adx", "efficiency_ratio")},
        "atr_pct": _recorded(100 * float(prices.atr[row]) / float(close[row])),
        "atr_ratio": _tried(lambda: atr_ratio(prices.atr[:count], config.median_bars)),
        "bandwidth": _recorded(float(fold.band[row])),
        "dickey_fuller_t": _tried(lambda: dickey_fuller_t(log_close, config.half_life_bars)),
        "excursions_48h": known(float(_excursions(close, row, config)[-1])),
        "minus_di": _recorded(100 * float(fold.movement.minus[row]) / average_range),
        "plus_di": _recorded(100 * float(fold.movement.plus[row]) / average_range),
        "variance_ratio": _tried(
            lambda: variance_ratio(log_close, config.variance_ratio_bars, config.variance_ratio_horizon)
        ),
        "z_score": _tried(lambda: z_score(close, config.z_score_bars)),
    }
    on_4h = four_hours.values_at(row_4h) if row_4h >= 0 else {}
    return found | {f"{name}_4h": known(on_4h[name]) if on_4h else None for name in METRICS}


EARLY_WARNINGS = ("atr_ratio", "slope", "efficiency_ratio", "z_score")


def early_warning(fold: PriceFold | None, row: int, config: MetricsConfig) -> dict[str, float | None]:
    """Return the context that a finer timeframe gives at one bar; all None where it has no data."""
    if fold is None:
        return dict.fromkeys(EARLY_WARNINGS)
    count = row + 1
    close, atr = fold.quote(fold.bars.close[:count]), fold.atr[:count]
    return {
        "atr_ratio": _tried(lambda: atr_ratio(atr, config.median_bars)),
        "slope": _tried(lambda: slope(close, atr, config.slope_bars)),
        "efficiency_ratio": _tried(
            lambda: efficiency_ratio(fold.log_close[:count], config.efficiency_ratio_bars)
        ),
        "z_score": _tried(lambda: z_score(close, config.z_score_bars)),
    }


def _before(fold: MetricFold, name: str, row: int) -> float | None:
    """Return a metric as it was recorded three bars before."""
    return known(float(fold.values[METRICS.index(name), row - BARS_AGO])) if row >= BARS_AGO else None


def _ago(column: Floats) -> Floats:
    return padded(column[: max(column.shape[0] - BARS_AGO, 0)], column.shape[0])


def _excursions(close: Floats, first: int, config: MetricsConfig) -> Floats:
    """Return the excursions at rows `first` and later; NaN before two windows of z-scores are whole."""
    start = max(first - EXCURSION_BARS + 1, 0)
    z = significant_column(z_scores(close, config.z_score_bars, start))
    found = excursions(z, config.excursion_far, config.excursion_near)
    whole = start + np.arange(z.shape[0]) >= config.z_score_bars + EXCURSION_BARS - 2
    return np.where(whole, found, np.nan)[first - start :]


def _turnovers(bars: Bars, price_scale: int, volume_scale: int) -> Floats:
    traded = (bars.close / price_scale) * (bars.volume / volume_scale)
    return padded(sums(windows_ending(traded, DAY_BARS, 0)), len(bars))


def _median(values: Floats) -> float | None:
    return _recorded(float(medians(values[None, :])[0])) if values.size else None


def _newest(name: str, found: Floats, reason: str) -> float:
    if not found.size or np.isnan(found[-1]):
        raise MetricUndefined(name, reason)
    return float(found[-1])


def _recorded(value: float) -> float | None:
    return known(significant(value))


def _tried(measure: Callable[[], float]) -> float | None:
    try:
        return _recorded(measure())
    except MetricUndefined:
        return None
