"""A recommendation in plain words: what, why, how sure, what it is worth, what would change it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from decisions.actions import ActionTaken
from decisions.checks import Check
from decisions.recommendation import Action, Kind, Recommendation
from decisions.stopped import expected_in_words, warned_in_words
from exits.states import ExitState
from regime.analysis import Verdict

_WHAT = {
    Action.CONTINUE: "Let the grid go on.",
    Action.ADJUST: "Move the grid to new bounds.",
    Action.STOP_GRID: "Stop the grid and sell the coin.",
    Action.WITHHELD: "There is no advice for this hour.",
    Action.CREATE_GRID: "A grid may be set up.",
    Action.CREATE_PROBATIONARY_GRID: "A smaller grid may be set up on trial.",
    Action.NO_SETUP: "Set nothing up.",
}
_MARKET = {
    Verdict.RANGE_OK: "The market ranges (RANGE_OK)",
    Verdict.RANGE_WEAK: "The market ranges, but weakly (RANGE_WEAK)",
    Verdict.TRANSITION: "The range is in doubt (TRANSITION)",
    Verdict.TREND: "The market trends (TREND)",
}


def explain(
    advice: Recommendation,
    verdict: Verdict | None,
    hold_probability: float | None,
    actions: Iterable[ActionTaken] = (),
) -> list[str]:
    """Return a recommendation as paragraphs.

    Args:
        advice: As recorded.
        verdict: Of the hour; None where it could not be judged.
        hold_probability: That the market's range holds 24 h.
        actions: What was done about it.
    """
    lines = [
        f"{advice.key}, grid {advice.grid_id}, {advice.hour.closes_at:%Y-%m-%d %H:%M} UTC: {advice.action}"
    ]
    lines.append(f"{_WHAT[advice.action]} Why: {_sentence(advice.reason)}")
    lines.append(_market_line(verdict, hold_probability))
    lines += _sure(advice, verdict)
    lines += _worth(advice)
    lines += _beside(advice)
    lines += _proposal(advice)
    lines += _checks(advice)
    lines += _turning(advice)
    lines += [f"Not chosen: {other.action}: {_sentence(other.reason)}" for other in advice.alternatives]
    if advice.expires_at is not None:
        lines.append(f"It stands until {advice.expires_at:%Y-%m-%d %H:%M} UTC.")
    lines += _done(actions)
    return lines


def _market_line(verdict: Verdict | None, hold_probability: float | None) -> str:
    if verdict is None:
        return "The hour could not be judged."
    sure = "" if hold_probability is None else f"; its range holds 24 h with p {hold_probability:.2f}"
    return f"{_MARKET[verdict]}{sure}."


def _of_the_market(verdict: Verdict | None) -> str:
    """Return what a setup's confidence is about: a verdict against the range is sure of the opposite."""
    if verdict in (None, Verdict.RANGE_OK, Verdict.RANGE_WEAK):
        return "that the range holds for 24 h"
    return f"of the verdict {verdict.value}"


def _sure(advice: Recommendation, verdict: Verdict | None) -> Iterator[str]:
    stated = advice.confidence
    if stated.value is None:
        market = stated.factors.get("market")
        sure = "nothing could be measured" if market is None else f"{market:.2f}, without a grid"
        yield f"How sure: {sure}."
        return
    of_what = {
        Action.STOP_GRID: "that the grid's bounds do not hold for 24 h",
        Action.CONTINUE: "that the grid's own bounds hold for 24 h, less what its spacing costs",
        Action.ADJUST: "that the grid's own bounds hold for 24 h, less what its spacing costs",
    }.get(advice.action, f"{_of_the_market(verdict)}, less what the spacing costs")
    made = " x ".join(f"{name} {value:.2f}" for name, value in stated.factors.items())
    yield f"How sure: {stated.value:.2f} {of_what} ({made})." if made else f"How sure: {stated.value:.2f}."
    if advice.told_higher is not None:
        yield f"Told louder: {_sentence(advice.told_higher)}"


def _worth(advice: Recommendation) -> Iterator[str]:
    if advice.action is Action.WITHHELD:
        return
    expected = (warned_in_words if advice.action.creates else expected_in_words)(advice.expected)
    what = "such a grid" if advice.kind is Kind.SETUP else "a grid in such a market"
    yield f"After fees: {_sentence(expected or f'what {what} is worth is not yet measurable')}"


def _beside(advice: Recommendation) -> Iterator[str]:
    """Say how the grid compares with one set up now."""
    told = advice.comparison
    if told is None or told["wins"] is None:
        return
    ours = "the running grid" if advice.kind is Kind.MANAGE else "the stopped grid"
    better = {"equal": "a cycle of either earns the same", "running": f"a cycle of {ours} earns more"}
    found = better.get(told["wins"], "a cycle of the new one earns more")
    by = "" if told["wins"] == "equal" else f", by {told['by_pct']:.2f} % points"
    yield (
        f"Beside {ours}: a new one's centre lies {told['centre_shift']:+.6g}"
        f" ({told['centre_shift_spacings']:.1f} cells) away; {found}{by}."
    )


def _proposal(advice: Recommendation) -> Iterator[str]:
    told = advice.proposed
    if told is None:
        return
    form = ", ".join(f"{label} {text}" for label, text in told["form"].items())
    verb = "To set" if advice.action.wants_answer else "It would be"
    yield (
        f"{verb}: {form}. A cycle earns {told['net_cycle_pct']:.2f} % after fees;"
        f" a fall straight to the stop-loss would cost {told['loss_at_stop']:.2f}."
    )


def _checks(advice: Recommendation) -> Iterator[str]:
    if advice.checks:
        yield "Checks, in order:"
    for check in advice.checks:
        apart = "" if check.distance is None else f" (distance {check.distance:+.4g})"
        yield f"  {check.name:<11} {_mark(advice, check):<9} {check.reason}{apart}"


def _mark(advice: Recommendation, check: Check) -> str:
    """Return how a check came out; what a running grid would be moved for is no fault of it."""
    if check.passed is None:
        return "not asked"
    moving = advice.kind is Kind.MANAGE and check.name != "exit_state"
    return {True: "passed", False: "not met" if moving else "FAILED"}[check.passed]


def _turning(advice: Recommendation) -> Iterator[str]:
    """Say what would change the answer: what stands against another one, or what is nearest to failing."""
    failing = tuple(dict.fromkeys(check.reason for check in advice.checks if check.blocks))
    if advice.action is Action.WITHHELD:
        yield "What would change it: an hour that can be judged."
    elif advice.action is Action.NO_SETUP and failing:
        yield f"What would have to change, all of it: {_sentence('; '.join(failing))}"
    elif advice.action is Action.STOP_GRID:
        latched = advice.exit_state == ExitState.MANDATORY_EXIT
        yield (
            "What would change it: nothing by itself; it stays until the grid is stopped, or until you"
            " decline and enough clean hours have passed."
            if latched
            else "What would change it: clean hours, one after the other, after which the exit state eases."
        )
    elif advice.kind is Kind.MANAGE:
        endings = [check.reason for check in advice.checks if check.name == "exit_state" and _measured(check)]
        if endings:
            yield f"What would end it, any of: {_sentence('; '.join(endings))}"
    else:
        nearest = _nearest(advice.checks)
        if nearest is not None:
            yield f"What would turn it first: {_sentence(nearest.reason)}"


def _measured(check: Check) -> bool:
    return check.passed is True and check.distance is not None


def _nearest(checks: Iterable[Check]) -> Check | None:
    """Return the passed check with the least room, measured against its own threshold."""
    with_room = [
        (abs(check.distance) / max(abs(check.threshold), 1e-9), check)
        for check in checks
        if _measured(check) and check.distance is not None and check.threshold
    ]
    return min(with_room, key=lambda pair: pair[0])[1] if with_room else None


def _done(actions: Iterable[ActionTaken]) -> Iterator[str]:
    for action in actions:
        price = "" if action.price is None else f" at {action.price}"
        note = "" if not action.note else f": {action.note}"
        yield f"{action.at:%Y-%m-%d %H:%M} UTC {action.actor}: {action.action}{price}{note}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
