"""What one grid's exit state remembers from hour to hour, and its form in the record."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from exits.states import ExitState
from market.hours import Hour
from market.values import ValueForm


def _hour_text(text: str) -> str:
    if Hour.parse(text).iso() != text:
        raise ValueError(f"{text!r} is not written as {Hour.parse(text).iso()}")
    return text


HourText = Annotated[str, AfterValidator(_hour_text)]
Count = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class ExitFold:
    """The exit state of one running grid after an hour; the next hour follows from it and that hour's facts.

    Attributes:
        started: Hour that holds the grid's start.
        lower, upper, stop_loss: The grid's own, quote; frozen, unless the grid is `moved`.
        atr: ATR on 1h at the start, quote, frozen; None until an hour with one.
        hour: Last hour that was folded in; None before the first.
        state: Exit state after that hour.
        since: Hour at whose close the state began.
        clean_bars: In a row, counted towards the next calmer state.
        acknowledged: The operator has acknowledged the present MANDATORY_EXIT.
        baseline_half_life, baseline_atr: Of the grid's first day, frozen when it is over; hours and quote.
        first_half_lives, first_atrs: Readings of that day, while it lasts.
        closes_outside: Closes outside the bounds in a row.
        transition_bars, transition_4h_bars: Bars of classic's TRANSITION or TREND in a row.
        four_hours_seen: Number (since 1970) of the last 4h bar that was counted.
        late_bars: Bars in a row in which an acting trigger of LATEST_ACCEPTABLE_EXIT fired.
        stretched_since: Hour in which the z-score went far out and has not come back since.
        confidences: Probability that the grid's bounds hold, at most .95, newest last; None where unknown.
        classic_confidences: C, the same.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    started: HourText
    lower: Price
    upper: Price
    stop_loss: Price | None
    atr: Price | None
    hour: HourText | None
    state: ExitState
    since: HourText
    clean_bars: Count
    acknowledged: bool
    baseline_half_life: Price | None
    baseline_atr: Price | None
    first_half_lives: tuple[Price, ...]
    first_atrs: tuple[Price, ...]
    closes_outside: Count
    transition_bars: Count
    transition_4h_bars: Count
    four_hours_seen: Count
    late_bars: Count
    stretched_since: HourText | None
    confidences: tuple[float | None, ...]
    classic_confidences: tuple[float | None, ...]


_FORM = ValueForm(ExitFold)


def as_record(fold: ExitFold) -> dict[str, Any]:
    """Return the fold as plain values, as the hour's metrics file holds it."""
    return _FORM.as_record(fold)


def of_record(record: object, where: str = "exits") -> ExitFold:
    """Return the fold that `as_record` wrote; raises DataInvalid that names the field."""
    return _FORM.of_record(record, where)


def opened(
    started_at: datetime, lower: float, upper: float, stop_loss: float | None, atr: float | None
) -> ExitFold:
    """Return the fold of a grid that starts.

    Args:
        started_at: Instant of its `enabled` event, aware.
        lower, upper, stop_loss: As really set, quote.
        atr: ATR on 1h of the last hour judged by then; None takes that of the first hour that has one.
    """
    started = Hour.of(started_at)
    return ExitFold(
        started=started.iso(),
        lower=lower,
        upper=upper,
        stop_loss=stop_loss,
        atr=atr,
        hour=None,
        state=ExitState.NORMAL,
        since=started.iso(),
        clean_bars=0,
        acknowledged=False,
        baseline_half_life=None,
        baseline_atr=None,
        first_half_lives=(),
        first_atrs=(),
        closes_outside=0,
        transition_bars=0,
        transition_4h_bars=0,
        four_hours_seen=four_hours_closed(started.plus(-1)),
        late_bars=0,
        stretched_since=None,
        confidences=(),
        classic_confidences=(),
    )


def moved(fold: ExitFold, lower: float, upper: float, stop_loss: float | None, atr: float | None) -> ExitFold:
    """Return the fold of a grid whose bounds were set anew while it runs.

    What was measured against the old bounds is forgotten (closes outside, the probability that they hold);
    state, latch and baseline stay.

    Args:
        fold: After the last hour under the old bounds.
        lower, upper, stop_loss: The new ones, quote.
        atr: As for `opened`.
    """
    return replace(
        fold, lower=lower, upper=upper, stop_loss=stop_loss, atr=atr, closes_outside=0, confidences=()
    )


def four_hours_closed(hour: Hour) -> int:
    """Return how many 4h bars have closed since 1970 by the close of an hour."""
    return (hour.index + 1) // 4
