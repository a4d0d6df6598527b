"""The words of every notice: facts of two hours in, notices out. Pure, so a restart finds the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from market.hours import Hour
from notifications.advice import AdviceFacts, advice_notice
from notifications.notice import MOST_BODY, Level, Notice
from notifications.text import fit

_CALM = {"RANGE_OK": 0, "RANGE_WEAK": 1, "TRANSITION": 2, "TREND": 3}


@dataclass(frozen=True, slots=True)
class HourFacts:
    """What a notice needs to know of one judged hour; prices in quote, probability in [0, 1].

    Attributes:
        missing: Metrics without a value and the weight lost with them, in words; empty when all are there.
    """

    key: str
    hour: Hour
    outcome: str
    reason: str | None
    verdict: str | None
    hold_probability: float | None
    price: float | None
    lower: float | None
    upper: float | None
    advice: tuple[AdviceFacts, ...] = ()
    missing: str = ""

    def of_grid(self, grid_id: str) -> AdviceFacts | None:
        """Return what is advised about a grid; None where nothing is."""
        return next((advice for advice in self.advice if advice.grid_id == grid_id), None)


def hour_notices(
    before: HourFacts | None, now: HourFacts, *, caught_up: Sequence[HourFacts] = (), recorded: bool = True
) -> list[Notice]:
    """Return what the operator should hear about `now`, given what was told last.

    A verdict that stays is silence, and so is a grid that goes on. Where no grid runs, only a change of
    whether one may be set up is told: nobody does anything about a TREND that is a TRANSITION now. Hours
    that were caught up are folded into one notice: only the newest state is told, with what happened
    meanwhile.
    """
    notices = _advice(before, now, caught_up)
    if notices:  # a word about a grid says more than the verdict's change that it follows from
        return notices if recorded else [_unrecorded(notice) for notice in notices]
    if now.verdict is None:
        if before is None or before.verdict is not None:
            notices.append(_blind(now))
    elif before is None:
        notices.append(_first(now))
    elif before.verdict is None:
        notices.append(_seeing_again(before, now))
    elif before.verdict != now.verdict and (_runs(now) or _allows(before) != _allows(now)):
        notices.append(_changed(before, now, caught_up))
    return notices if recorded else [_unrecorded(notice) for notice in notices]


def _advice(before: HourFacts | None, now: HourFacts, caught_up: Sequence[HourFacts]) -> list[Notice]:
    blind = f"{now.reason}." if now.verdict is None and now.reason else ""
    beside = " ".join(part for part in (_meanwhile(before, now, caught_up), blind, now.missing) if part)
    found = (
        advice_notice(
            now.key,
            None if before is None else before.of_grid(advice.grid_id),
            advice,
            now.hour.closes_at,
            beside,
            [then for facts in caught_up if (then := facts.of_grid(advice.grid_id)) is not None],
        )
        for advice in now.advice
    )
    return [notice for notice in found if notice is not None]


def _notice(now: HourFacts, kind: str, level: Level, title: str, body: str) -> Notice:
    text = fit([body, now.missing], [], MOST_BODY)
    return Notice(f"{now.key}/{now.hour}/{kind}", now.key, level, title, text, now.hour.closes_at)


def _state(now: HourFacts) -> str:
    sure = "" if now.hold_probability is None else f"The range holds 24 h with p {now.hold_probability:.2f}. "
    return f"{sure}{_place(now)}".rstrip()


def _place(now: HourFacts) -> str:
    price, lower, upper = now.price, now.lower, now.upper
    if price is None or lower is None or upper is None:
        return ""
    where = "below" if price < lower else "above" if price > upper else "in"
    return f"Price {price:g} {where} [{lower:g}, {upper:g}]."


def _first(now: HourFacts) -> Notice:
    return _notice(now, "verdict", Level.QUIET, f"{now.key}: watching, {now.verdict}", _state(now))


def _changed(before: HourFacts, now: HourFacts, caught_up: Sequence[HourFacts]) -> Notice:
    assert before.verdict is not None and now.verdict is not None
    worse = _CALM[now.verdict] > _CALM[before.verdict]
    runs = _runs(now)
    advice = (
        "A grid may be worth looking at; gates and edge decide."
        if _allows(now)
        else "Open no new grid; look at the running one and at its stop."
        if runs
        else "Open no new grid."
    )
    body = " ".join(part for part in (_meanwhile(before, now, caught_up), _state(now), advice) if part)
    level = Level.NORMAL if worse and runs else Level.QUIET  # without a grid nothing is at stake
    return _notice(now, "verdict", level, f"{now.key}: {before.verdict} to {now.verdict}", body)


def _runs(facts: HourFacts) -> bool:
    return any(advice.state is not None for advice in facts.advice)


def _allows(facts: HourFacts) -> bool:
    return facts.verdict in ("RANGE_OK", "RANGE_WEAK")


def _meanwhile(before: HourFacts | None, now: HourFacts, caught_up: Sequence[HourFacts]) -> str:
    """Return what happened in the hours that were judged late; empty where there were none."""
    if not caught_up:
        return ""
    path: list[str] = []
    for facts in [*([] if before is None else [before]), *caught_up, now]:
        if facts.verdict and facts.verdict not in path[-1:]:
            path.append(facts.verdict)
    return f"Caught up {len(caught_up)} h: {' > '.join(path)}."


def _blind(now: HourFacts) -> Notice:
    # A running grid has a notice of its own, WITHHELD; where none runs this can wait for the morning.
    body = f"{now.reason}. Advice is withheld for this market until an hour can be judged again."
    return _notice(now, "blind", Level.QUIET, f"{now.key}: hour {now.hour} could not be judged", body)


def _seeing_again(before: HourFacts, now: HourFacts) -> Notice:
    title = f"{now.key}: judged again, {now.verdict}"
    return _notice(now, "seeing", Level.QUIET, title, f"Last unjudged hour: {before.hour}. {_state(now)}")


def _unrecorded(notice: Notice) -> Notice:
    said = "NOT RECORDED: the commit failed and is tried again; see /health."
    return replace(notice, body=fit([], [said, notice.body], MOST_BODY))


def missing_in_words(names: Sequence[str], share: float) -> str:
    """Return which metrics have no value and the share of the weight that is lost with them."""
    return f"Without {', '.join(names)}: {share:.0%} of the weight is missing." if names else ""
