"""The `advice:` section: its defaults, and how far each number may go."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from decisions.config import AdviceConfig
from tests.sections import takes


def test_the_defaults_are_those_of_the_specification():
    """An hour for a setup, an hour of rest after a stop and two after a decline."""
    assert AdviceConfig().model_dump() == {
        "kill_switch": False,
        "setup_expires_min": 60,
        "cooldown_stopped_min": 60,
        "cooldown_declined_min": 120,
        "louder_in_trend_min": 15,
        "louder_in_transition_min": 30,
        "louder_in_range_min": 60,
        "adjust_spacings": 1.0,
        "fresh_hours": 24,
    }


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("setup_expires_min", (5, 120), (4, 121)),
        ("cooldown_stopped_min", (0, 10080), (-1, 10081)),
        ("cooldown_declined_min", (0, 180), (-1, 181)),
        ("louder_in_trend_min", (1, 1440), (0, 1441)),
        ("louder_in_transition_min", (1, 1440), (0, 1441)),
        ("louder_in_range_min", (1, 1440), (0, 1441)),
        ("adjust_spacings", (1e-9, 20), (0, 20.5)),
        ("fresh_hours", (24, 168), (23, 169)),
    ],
)
def test_each_number_may_reach_its_limits_and_no_further(
    field: str, taken: tuple[float, float], refused: tuple[float, float]
):
    """On both ends."""
    assert [takes(AdviceConfig, field, value) for value in (*taken, *refused)] == [True, True, False, False]


def test_rules_in_force_are_not_changed():
    """A decision quotes the hash of its configuration."""
    with pytest.raises(ValidationError, match="frozen"):
        AdviceConfig().kill_switch = True  # type: ignore[misc]
