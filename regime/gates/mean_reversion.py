"""Gate 2, Mean Reversion Return: are deviations taken back again, and was one seen to be?"""

from __future__ import annotations

import math

from regime.gates.conditions import Condition, at_least, at_most, unknown
from regime.gates.config import MeanReversionConfig
from regime.gates.readings import GateReadings
from regime.readings import NO_MEAN_REVERSION

NAME = "mean_reversion_return"


def conditions(readings: GateReadings, config: MeanReversionConfig) -> tuple[Condition, ...]:
    """Return half-life short, returns not chained, the walk refuted where asked for, an excursion over.

    A half-life without mean reversion is known, and never short enough.
    """
    half_life, longest = readings.half_life, config.maximum_half_life
    asked = [
        unknown("half_life", None, longest, NO_MEAN_REVERSION)
        if half_life is not None and math.isinf(half_life)
        else at_most("half_life", half_life, longest)
    ]
    if config.maximum_autocorrelation is not None:
        asked.append(at_most("autocorrelation", readings.autocorrelation, config.maximum_autocorrelation))
    if config.maximum_dickey_fuller_t is not None:
        asked.append(at_most("dickey_fuller_t", readings.dickey_fuller_t, config.maximum_dickey_fuller_t))
    return (*asked, at_least("excursions_48h", readings.excursions_48h, float(config.minimum_excursions)))
