"""What the exit state asks of the recommendation: stop or not, and how loud."""

from __future__ import annotations

from exits.config import ExitsConfig
from exits.memory import ExitFold
from exits.states import ExitState
from exits.triggers import AT_LEAST, BELOW, Trigger, measured
from regime.analysis import Verdict
from regime.precision import score


def stop_advised(state: ExitState, verdict: Verdict | None, config: ExitsConfig) -> str | None:
    """Return why the grid should be stopped, None where the exits do not ask for it.

    Args:
        state: Of the hour.
        verdict: In force; None in an unjudged hour.
        config: Preset.
    """
    late = state is ExitState.LATEST_ACCEPTABLE_EXIT and config.stops_at_latest_acceptable
    if state is ExitState.MANDATORY_EXIT or late:
        return state.value
    return "TREND" if verdict is Verdict.TREND and config.stops_on_trend else None


def escalations(fold: ExitFold, config: ExitsConfig) -> tuple[Trigger, Trigger]:
    """Return whether the confidence in the running grid is low, and whether it dropped; each is told louder.

    The preset `classic` compares C, every other one the probability that the grid's own bounds hold.

    Args:
        fold: After the hour.
        config: Thresholds.
    """
    seen = fold.classic_confidences if config.preset == "classic" else fold.confidences
    now = seen[-1] if seen else None
    past = [value for value in seen[-1 - config.confidence_drop_bars : -1] if value is not None]
    return (
        measured("confidence_low", "confidence", now, BELOW, config.confidence_floor, acts=True),
        measured(
            "confidence_dropped",
            f"fall of the confidence within {config.confidence_drop_bars} bars",
            score(max(past) - now) if past and now is not None else None,
            AT_LEAST,
            config.confidence_drop,
            acts=True,
        ),
    )
