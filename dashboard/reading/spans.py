"""Lines and stays over the judged hours of a span."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import nan

import numpy as np

from dashboard.pages import Floats, RangeBand, Series, Stay
from market.hours import Hour
from regime.config import METRICS
from store.glance import HourGlance
from store.records import AnalysisYaml

_WEIGHTS = 20  # all six metrics weigh so many twentieths together
_TITLES = {
    "adx": "ADX (14)",
    "efficiency_ratio": "Efficiency ratio (24)",
    "autocorrelation": "Lag-1 autocorrelation (168)",
    "half_life": "Half-life, hours (168)",
    "slope": "Slope, ATR a bar (24)",
    "expansion": "Bandwidth over its median",
}


def stays(named: Iterable[tuple[int, str | None]]) -> list[Stay]:
    """Return runs of the same name over hours that follow each other; an hour without a name ends a run.

    Args:
        named: Hour (number since 1970) and name, oldest first.
    """
    found: list[tuple[str, int, int]] = []
    for hour, name in named:
        if name is None:
            continue
        if found and found[-1][0] == name and found[-1][2] == hour:
            found[-1] = name, found[-1][1], hour + 1
        else:
            found.append((name, hour, hour + 1))
    return [Stay(name, Hour(first).opens_at, Hour(end).opens_at) for name, first, end in found]


def band(hours: Sequence[HourGlance]) -> RangeBand:
    """Return the valid ranges."""
    return RangeBand(
        _line([hour.lower if hour.is_valid else nan for hour in hours]),
        _line([hour.upper if hour.is_valid else nan for hour in hours]),
    )


def series(hours: Sequence[HourGlance], newest: AnalysisYaml | None) -> list[Series]:
    """Return confidence, hold probability, T and the six metrics, with the weights of the newest hour."""
    values = np.array([hour.metrics for hour in hours], dtype=np.float64).reshape(len(hours), len(METRICS))
    weights = {} if newest is None else {name: each.weight for name, each in newest.metrics.items()}
    return [
        Series("confidence", "Confidence", _line([hour.confidence for hour in hours]), 0.0, 1.0),
        Series(
            "hold_probability",
            "Probability that the range holds 24 h",
            _line([hour.hold_probability for hour in hours]),
            0.0,
            1.0,
        ),
        Series("T", "Trendiness T", _line([hour.trendiness for hour in hours]), 0.0, 1.0),
        *(
            Series(
                name,
                _TITLES[name],
                np.ascontiguousarray(values[:, place]),
                weight_pct=100 * weights[name] / _WEIGHTS if name in weights else None,
            )
            for place, name in enumerate(METRICS)
        ),
    ]


def _line(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)
