"""What became of a recommendation after 24 hours, 72 hours and 7 days: was it right, and was it followed?

**Worth of a path.** Cash and coin of the grid at the horizon's end, after all fees, coin at the last close
without the cost of selling it. Four paths, all by the one grid simulator over the same bars:

- hold: the running grid goes on from its position, to the horizon or to its own exit;
- stop: all its coin is sold at the decision's close, with slippage and taker fee, and waits as cash;
- grid: the proposed grid starts at the decision's close, entry fee and slippage paid;
- cash: what that grid would have been paid for stays as it is.

**The recommendation's quality** is the worth of what was advised less the worth of the other way:

| advised | impact |
| --- | --- |
| STOP_GRID | stop - hold |
| CONTINUE, ADJUST | hold - stop |
| CREATE_GRID, CREATE_PROBATIONARY_GRID | grid - cash |
| NO_SETUP, where a standard grid could be drawn | cash - grid |
| NO_SETUP without one, WITHHELD | none: only what the price did |

It is correct when the impact is above 0, wrong below, and neither where it made no difference.

**The human's quality** is what was really done less what was advised, so that both add up to what was really
done less the other way. Following at once costs nothing; delay, and a right advice declined, cost; a wrong
advice declined earns. Only what wants an answer has it.

Nothing after the horizon's end is looked at, bars or deeds: the same question has the same answer for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from decisions.actions import ActionTaken, Answer
from decisions.aftermath import Aftermath, aftermath_of
from decisions.paths import PATHS, DecidedCase, carried_on, deed_less_advice, worth_of
from decisions.realised import OutcomesConfig, brier, excursions, realised_verdict
from market.candles import Bars
from regime.analysis import Verdict

HOLD_HOURS = 24


class Horizon(StrEnum):
    """When a recommendation is looked back at."""

    DAY = "24h"
    THREE_DAYS = "72h"
    WEEK = "7d"

    @property
    def hours(self) -> int:
        return {Horizon.DAY: 24, Horizon.THREE_DAYS: 72, Horizon.WEEK: 168}[self]


@dataclass(frozen=True, slots=True)
class RecommendationQuality:
    """What the advice was worth against the other way.

    Attributes:
        usd_impact: Dollars; None where the quote coin is no dollar, or nothing can be compared.
        quote_impact: The same in the quote coin.
        quote: Its name.
        correct: None where it made no difference or cannot be compared.
    """

    usd_impact: float | None
    quote_impact: float | None
    quote: str
    correct: bool | None


@dataclass(frozen=True, slots=True)
class ActionQuality:
    """What the operator's deed was worth against following the advice at once.

    Attributes:
        usd_impact, quote_impact: As in `RecommendationQuality`; None too where what was really set up is
            not known.
        followed: Whether the advice was accepted by the horizon's end; None where it wants no answer.
        latency_s: From the close of the analysed hour to the operator's deed; None without one.
    """

    usd_impact: float | None
    quote_impact: float | None
    followed: bool | None
    latency_s: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recommendation by one horizon.

    Attributes:
        price_start, price_end: Quote; the end is None where nothing at all is known.
        max_up_pct, max_down_pct: Furthest from the start price, percent: at least 0, at most 0.
        realised_verdict: What the span turned out to be; None without bounds or closes.
        grid_exit: Why the grid, left to itself, ended by then (`stop_loss`, `take_profit`); None if not.
        values: Worth of each path, quote coin.
        brier: Squared error of the stated confidence about the first 24 hours, the same at every horizon;
            None where nothing was stated or it is not known whether the bounds held.
        missing_minutes: Minutes of the span that are not known in any form.
        coarse_hours: Hours taken from their own bar.
    """

    horizon: Horizon
    price_start: float
    price_end: float | None
    max_up_pct: float | None
    max_down_pct: float | None
    realised_verdict: Verdict | None
    grid_exit: str | None
    values: Mapping[str, float]
    recommendation_quality: RecommendationQuality
    action_quality: ActionQuality
    brier: float | None
    missing_minutes: int
    coarse_hours: int

    def as_record(self) -> dict[str, Any]:
        """Return plain values, as `.eval-{horizon}` holds them."""
        verdict = self.realised_verdict
        return {
            **asdict(self),
            "horizon": self.horizon.value,
            "realised_verdict": None if verdict is None else verdict.value,
        }


def outcome_at(
    horizon: Horizon,
    case: DecidedCase,
    minutes: Bars,
    hours: Bars | None,
    actions: Sequence[ActionTaken],
    config: OutcomesConfig,
) -> Outcome:
    """Return what became of a recommendation by the horizon.

    Args:
        horizon: From the close of the analysed hour.
        case: The recommendation and what it is measured by.
        minutes: 1m bars from that close on; what is outside the horizon is ignored.
        hours: 1h bars, for hours whose minutes are lacking; None for none.
        actions: All deeds about it.
        config: How the past is judged.

    Raises:
        DataInvalid: The grid's position has seen bars of the horizon already.
    """
    start_ts = case.recommendation.hour.close_ts
    tolerated = config.tolerated_missing_minutes
    after = aftermath_of(minutes, hours, start_ts, horizon.hours, tolerated)
    first_day = aftermath_of(minutes, hours, start_ts, HOLD_HOURS, tolerated)
    grid = carried_on(case, after)
    worth = worth_of(case, case.grid, grid) if case.grid and grid else {}
    deeds = [deed for deed in actions if deed.at.timestamp() <= after.end_ts]
    up_pct, down_pct = excursions(case.price, after)
    return Outcome(
        horizon=horizon,
        price_start=case.price / case.price_scale,
        price_end=None if after.last_close is None else after.last_close / case.price_scale,
        max_up_pct=up_pct,
        max_down_pct=down_pct,
        realised_verdict=realised_verdict(case, after, config),
        grid_exit=None if grid is None else grid.position.stop_reason,
        values={name: case.in_quote(amount) for name, amount in worth.items()},
        recommendation_quality=_recommendation_quality(case, worth),
        action_quality=_action_quality(case, worth, after, deeds),
        brier=brier(case, first_day, config),
        missing_minutes=after.missing_minutes,
        coarse_hours=after.coarse_hours,
    )


def _recommendation_quality(case: DecidedCase, worth: Mapping[str, int]) -> RecommendationQuality:
    if not worth:
        return RecommendationQuality(None, None, case.quote, None)
    advised, other = PATHS[case.recommendation.action]
    impact = worth[advised] - worth[other]
    correct = None if impact == 0 else impact > 0
    return RecommendationQuality(case.in_dollars(impact), case.in_quote(impact), case.quote, correct)


def _action_quality(
    case: DecidedCase, worth: Mapping[str, int], after: Aftermath, deeds: Sequence[ActionTaken]
) -> ActionQuality:
    if not case.recommendation.action.wants_answer:
        return ActionQuality(None, None, None, None)
    answer = _answer(deeds)
    accepted = answer if answer is not None and answer.action is Answer.ACCEPT else None
    impact = deed_less_advice(case, worth, after, accepted)
    return ActionQuality(
        None if impact is None else case.in_dollars(impact),
        None if impact is None else case.in_quote(impact),
        accepted is not None,
        None if answer is None else answer.latency_s,
    )


def _answer(deeds: Sequence[ActionTaken]) -> ActionTaken | None:
    """Return the first accept, or else the first decline: a late accept outweighs an earlier decline."""
    for wanted in (Answer.ACCEPT, Answer.DECLINE):
        for deed in deeds:
            if deed.action is wanted:
                return deed
    return None
