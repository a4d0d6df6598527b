"""Which state advises to stop under which preset, and when it is told louder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exits.advice import escalations, stop_advised
from exits.config import ExitsConfig
from exits.states import ExitState
from regime.analysis import Verdict
from tests.exits.grids import AGGRESSIVE, CLASSIC, CONSERVATIVE, EVIDENCE, GRID, PRESETS

NORMAL, WARNING, LATE, MANDATORY = ExitState
OK, WEAK, TRANSITION, TREND = Verdict


@pytest.mark.parametrize("config", PRESETS)
@pytest.mark.parametrize("verdict", [None, *Verdict])
def test_who_advises_to_stop(config: ExitsConfig, verdict: Verdict | None):
    """MANDATORY_EXIT everywhere; the latest acceptable one not in aggressive; TREND alone in classic."""
    trend = "TREND" if config is CLASSIC and verdict is TREND else None
    assert stop_advised(MANDATORY, verdict, config) == "MANDATORY_EXIT"
    assert stop_advised(LATE, verdict, config) == (
        trend if config is AGGRESSIVE else "LATEST_ACCEPTABLE_EXIT"
    )
    assert stop_advised(WARNING, verdict, config) == trend
    assert stop_advised(NORMAL, verdict, config) == trend


def told(seen: list[float | None], config: ExitsConfig = EVIDENCE) -> list[bool | None]:
    fold = replace(GRID, confidences=tuple(seen), classic_confidences=(0.9, 0.9))
    return [trigger.fired for trigger in escalations(fold, config)]


@pytest.mark.parametrize(
    ("seen", "low", "dropped"),
    [
        ([], None, None),
        ([0.6], False, None),
        ([0.599999], True, None),
        ([None], None, None),
        ([0.9, None], None, None),
        ([None, 0.7], False, None),
        ([0.9, 0.7], False, True),
        ([0.9, 0.700001], False, False),
        ([0.8, 0.9, 0.8, None, 0.7], False, True),
        ([0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7], False, True),  # 6 bars ago
        ([0.9, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7], False, False),  # 7
        ([0.5, 0.9], False, False),
        ([0.9, 0.5], True, True),
    ],
)
def test_a_low_or_dropping_confidence_is_told_louder(
    seen: list[float | None], low: bool | None, dropped: bool | None
):
    """Below .60, or down by .20 within 6 bars."""
    for config in (EVIDENCE, CONSERVATIVE, AGGRESSIVE):
        assert told(seen, config) == [low, dropped]
    assert told(seen, CLASSIC) == [False, False]


def test_escalations_say_what_they_measured():
    """Value, threshold, distance; both act in every preset."""
    low, dropped = escalations(replace(GRID, confidences=(0.85, 0.55)), EVIDENCE)
    assert (low.name, low.value, low.threshold, low.distance) == ("confidence_low", 0.55, 0.6, -0.05)
    assert (dropped.name, dropped.value, dropped.threshold) == ("confidence_dropped", 0.3, 0.2)
    assert dropped.distance == pytest.approx(-0.1)
    assert low.acts
    assert dropped.acts
    assert low.reason == "confidence: 0.55, below 0.6"
    assert dropped.reason == "fall of the confidence within 6 bars: 0.3, at or above 0.2"
    configured = ExitsConfig(confidence_floor=0.5, confidence_drop=0.4, confidence_drop_bars=1)
    low, dropped = escalations(replace(GRID, confidences=(0.95, 0.85, 0.55)), configured)
    assert (low.fired, low.threshold) == (False, 0.5)
    assert (dropped.fired, dropped.threshold, dropped.value) == (False, 0.4, 0.3)
