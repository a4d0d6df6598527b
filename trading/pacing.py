"""How often a trade may begin: spacing, rest of a market, trades an hour and a day.

Nothing else counts trades. A trade counts from when it is begun, whether its entry is filled or not. A
market rests from when its trade ended: a short while after a win, longer after a loss, and longer still the
more losses came in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from market.hours import HOUR_S, instant_iso, instant_of_ts
from market.values import ValueForm
from regime.config import Section
from trading.reasons import Reason
from trading.values import Refusal

DAY_S = 24 * HOUR_S

Count = Annotated[int, Field(ge=0)]


class PacingConfig(Section):
    """The `trading.pacing:` section."""

    min_seconds_between_trades: int = Field(
        0,
        ge=0,
        le=DAY_S,
        description="Between the begins of two trades of any market, seconds. Trades begin at the close of an"
        " hour, so that anything above 0 lets at most one begin each hour.",
    )
    max_trades_per_hour: int = Field(3, ge=1, le=1000, description="Begun in any 60 minutes.")
    max_trades_per_day: int = Field(
        12, ge=1, le=10_000, description="Begun in any 24 hours; the last resort against a runaway."
    )
    cooldown_win_s: int = Field(600, ge=0, le=7 * DAY_S, description="Rest of a market after a win, seconds.")
    cooldown_loss_s: int = Field(
        1800,
        ge=0,
        le=7 * DAY_S,
        description="Rest after a loss, seconds, times the losses in a row.",
    )
    cooldown_loss_most_s: int = Field(
        3600, ge=0, le=7 * DAY_S, description="The longest rest after losses, seconds."
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.cooldown_loss_most_s < self.cooldown_loss_s:
            raise ValueError(
                f"cooldown_loss_most_s {self.cooldown_loss_most_s} must be cooldown_loss_s"
                f" {self.cooldown_loss_s} or more"
            )
        return self

    def rest_s(self, losses_in_a_row: int) -> int:
        """Return how long a market rests after a trade; no loss in a row is a win."""
        if losses_in_a_row == 0:
            return self.cooldown_win_s
        return min(self.cooldown_loss_s * losses_in_a_row, self.cooldown_loss_most_s)


@dataclass(frozen=True, slots=True)
class Begun:
    """A trade that was begun; epoch seconds."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    ts: int


@dataclass(frozen=True, slots=True)
class MarketRest:
    """A market after its last trade.

    Attributes:
        ended_ts: When that trade ended, epoch seconds.
        rests_until_ts: From then on it may trade again; by the configuration in force when it ended.
        won: Whether that trade was left with more than it began with.
        losses_in_a_row: With the last one; 0 after a win.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    key: str
    ended_ts: int
    rests_until_ts: int
    won: bool
    losses_in_a_row: Count


@dataclass(frozen=True, slots=True)
class Pacing:
    """What pacing remembers.

    Attributes:
        begun: Trades of the last 24 hours, in the order in which they were begun.
        rests: One for each market that ended a trade, in order of key.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    begun: tuple[Begun, ...]
    rests: tuple[MarketRest, ...]

    @classmethod
    def none(cls) -> Pacing:
        """Return the pacing of an account that never traded."""
        return cls((), ())

    def rest_of(self, key: str) -> MarketRest | None:
        return next((rest for rest in self.rests if rest.key == key), None)


PACING_FORM = ValueForm(Pacing)


def refusal(config: PacingConfig, pacing: Pacing, key: str, now_ts: int) -> Refusal | None:
    """Return why no trade of the market may begin now, None where one may.

    A trade begun exactly 60 minutes (24 hours) ago is over an hour (day) old and no longer counts.

    Args:
        now_ts: Epoch seconds, not before anything that `pacing` remembers.
    """
    if pacing.begun:
        last = pacing.begun[-1]
        if now_ts - last.ts < config.min_seconds_between_trades:
            return Refusal(
                Reason.GLOBAL_TRADE_SPACING,
                f"{now_ts - last.ts} s since the last trade ({last.key})",
                f"{config.min_seconds_between_trades} s",
            )
    rest = pacing.rest_of(key)
    if rest is not None and now_ts < rest.rests_until_ts:
        after = "a win" if rest.won else f"{rest.losses_in_a_row} loss(es) in a row"
        return Refusal(
            Reason.SYMBOL_COOLDOWN_ACTIVE,
            f"{now_ts - rest.ended_ts} s since {after}",
            f"{rest.rests_until_ts - rest.ended_ts} s, until"
            f" {instant_iso(instant_of_ts(rest.rests_until_ts))}",
        )
    for reason, span_s, most in (
        (Reason.MAX_TRADES_PER_HOUR, HOUR_S, config.max_trades_per_hour),
        (Reason.MAX_TRADES_PER_DAY, DAY_S, config.max_trades_per_day),
    ):
        count = sum(now_ts - begun.ts < span_s for begun in pacing.begun)
        if count >= most:
            return Refusal(reason, f"{count} trades begun", f"{most} in {span_s // HOUR_S} h")
    return None


def began(pacing: Pacing, key: str, now_ts: int) -> Pacing:
    """Return the pacing after a trade was begun; what is 24 hours old is forgotten."""
    kept = tuple(begun for begun in pacing.begun if now_ts - begun.ts < DAY_S)
    return replace(pacing, begun=(*kept, Begun(key, now_ts)))


def ended(config: PacingConfig, pacing: Pacing, key: str, now_ts: int, *, won: bool) -> Pacing:
    """Return the pacing after a trade ended; one whose entry never was filled has no outcome to tell."""
    before = pacing.rest_of(key)
    losses = 0 if won else 1 + (before.losses_in_a_row if before else 0)
    rest = MarketRest(key, now_ts, now_ts + config.rest_s(losses), won, losses)
    others = (other for other in pacing.rests if other.key != key)
    return replace(pacing, rests=tuple(sorted((*others, rest), key=lambda each: each.key)))
