"""What each veto was worth: how often the range held where it spoke, and where it could have and did not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decisions.calibration.measures import Weeks
from market.candles import Floats
from regime.analysis import Verdict
from regime.classifier import Signals, vetoed
from regime.config import METRICS, RegimeConfig
from regime.history import JudgedHours
from regime.verdicts import MODELS


def veto_worth(hours: JudgedHours, held: Floats, config: RegimeConfig) -> dict[str, Any]:
    """Return for each model and veto what it was worth, JSON-ready.

    Args:
        hours: Judged hours, oldest first.
        held: 1 where the range of the hour held for 24 hours, 0 where not, NaN where not known.
        config: Whose vetoes.

    Returns:
        By model and veto, over the hours whose outcome is known: `present` (the classes, before vetoes, in
        which it spoke), `fired` (share of the hours in such a class), `held_fired`, `held_silent` and
        `worth`, the second less the first. Above 0 it spoke against hours that held less often, as a veto
        against a range verdict should; one against TREND should be below 0.
    """
    weeks, known = Weeks(hours.ts), np.isfinite(held)
    outcome = np.where(known, held, 0.0)
    verdicts = tuple(Verdict)
    found: dict[str, Any] = {}
    for model in MODELS:
        present = getattr(hours, f"{model}_present")
        spoken = [
            vetoed(model, verdicts[rank], signals, config)[1]
            for rank, signals in zip(present.tolist(), _signals(hours), strict=True)
        ]
        names = dict.fromkeys(name for fired in spoken for name in fired)
        found[model] = {
            name: _worth(
                np.array([name in fired for fired in spoken], dtype=np.bool_), present, known, outcome, weeks
            )
            for name in sorted(names)
        }
    return found


def _worth(
    fired: NDArray[np.bool_],
    present: NDArray[np.int8],
    known: NDArray[np.bool_],
    outcome: Floats,
    weeks: Weeks,
) -> dict[str, Any]:
    classes = np.unique(present[fired])
    among = known & np.isin(present, classes)
    spoke, silent = among & fired, among & ~fired
    return {
        "present": [tuple(Verdict)[rank].value for rank in classes.tolist()],
        "fired": weeks.mean(fired.astype(np.float64), among).as_json(),
        "held_fired": weeks.mean(outcome, spoke).as_json(),
        "held_silent": weeks.mean(outcome, silent).as_json(),
        "worth": weeks.difference(outcome, silent, spoke).as_json(),
    }


def _signals(hours: JudgedHours) -> list[Signals]:
    columns = (
        hours.hold_probability,
        hours.trendiness,
        hours.trendiness_4h,
        hours.metrics[METRICS.index("half_life")],
        hours.valid,
        hours.inside,
        hours.outside,
    )
    return [Signals(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
