"""The probationary band: a smaller, wider-spaced grid on trial, what stops it at once and what promotes it.

Where the confidence is enough for a grid but not for a whole one, a grid of half the size may run for at most
three days. A quick stop needs one trigger, a promotion every condition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal
from typing import Any, Self

from pydantic import Field, model_validator

from grid.checks import Check, above, at_least, at_most, below
from grid.economics import EconomicsConfig, cells_fitting, spacing_pct
from grid.parameters import GridKind
from grid.proposal import Proposal, Setting, Shape, assembled, inward, propose, stop_below
from market.values import ValueForm
from regime.analysis import ScoreModel, Verdict
from regime.config import Section, Share
from regime.precision import score, significant


class ProbationConfig(Section):
    """The `probation:` section."""

    band_lower_evidence: Share = Field(0.65, description="Confidence at or above: probationary (evidence).")
    band_lower_classic: Share = Field(0.60, description="Confidence at or above: probationary (classic).")
    band_upper: Share = Field(0.80, description="Confidence at or above: a normal grid.")
    allocation_bottom: float = Field(
        0.50, gt=0, le=1, description="Share of a normal allocation at the bottom of the band."
    )
    allocation_top: float = Field(0.60, gt=0, le=1, description="The same at its top.")
    spacing_bottom: float = Field(1.50, ge=1, le=10, description="Normal spacings at the bottom of the band.")
    spacing_top: float = Field(1.25, ge=1, le=10, description="The same at its top.")
    pull_in_atr: float = Field(0.25, ge=0, le=5, description="The range is this much narrower a side, ATR.")
    stop_loss_atr: float = Field(1.0, gt=0, le=20, description="Stop-loss below the lower bound, ATR.")
    fewest_fees: float = Field(1.0, ge=0, le=100, description="Net profit a cycle, in maker fees.")
    stop_warning_bars: int = Field(2, ge=1, le=168, description="Hours in WARNING or worse that stop it.")
    stop_confidence: Share = Field(0.55, description="Confidence below counts towards a stop.")
    stop_confidence_bars: int = Field(2, ge=1, le=168, description="Hours of it that stop the grid.")
    stop_loss_pct: float = Field(1.0, gt=0, le=100, description="Loss that stops it, percent of allocation.")
    promote_age_h: int = Field(24, ge=1, le=1000, description="A promotion needs it to run so long, hours.")
    promote_cycles: int = Field(3, ge=0, le=1000, description="And so many completed cycles.")
    promote_confidence: Share = Field(0.80, description="And this confidence or more ...")
    promote_confidence_bars: int = Field(3, ge=1, le=168, description="... in so many consecutive hours.")
    expires_h: int = Field(72, ge=1, le=1000, description="Hours after which the trial is over.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if max(self.band_lower_evidence, self.band_lower_classic) >= self.band_upper:
            raise ValueError("band_lower must be below band_upper")
        if self.allocation_bottom > self.allocation_top:
            raise ValueError("allocation_bottom must not exceed allocation_top")
        if self.spacing_bottom < self.spacing_top:
            raise ValueError("spacing_bottom must be at least spacing_top")
        if self.promote_age_h > self.expires_h:
            raise ValueError("promote_age_h must not exceed expires_h")
        return self

    def band_lower(self, model: ScoreModel) -> float:
        """Return where the band of a score model begins."""
        return self.band_lower_evidence if model == "evidence" else self.band_lower_classic


@dataclass(frozen=True, slots=True)
class Band:
    """What a confidence allows.

    Attributes:
        kind: Normal, probationary, or None: no setup.
        check: Confidence against what the least grid needs.
    """

    kind: GridKind | None
    check: Check


def band_of(confidence: float, model: ScoreModel, config: ProbationConfig) -> Band:
    """Return the band of a confidence in [0, 1]; it speaks of range verdicts with the price inside only."""
    sure = score(confidence)
    check = at_least("confidence", sure, config.band_lower(model))
    if sure >= config.band_upper:
        return Band(GridKind.NORMAL, check)
    return Band(GridKind.PROBATIONARY if check.passed else None, check)


def propose_probationary(
    setting: Setting,
    confidence: float,
    model: ScoreModel,
    economics: EconomicsConfig,
    config: ProbationConfig,
) -> Proposal:
    """Return the smaller grid of a place in the band; its checks are the validation list of the trial.

    Args:
        setting: As for a normal grid, with a normal grid's allocation.
        confidence: In [0, 1]; outside the band the last check fails.
        model: Whose band.
        economics: Spacing and levels of a normal grid.
        config: How the trial differs.
    """
    position, in_band = _place(confidence, model, config)
    normal = propose(setting, economics)
    pulled = config.pull_in_atr * setting.atr
    lower, upper = inward(setting.lower + pulled, setting.upper - pulled, setting.rules)
    levels = 0
    if normal.parameters is not None and lower < upper:
        factor = _between(config.spacing_bottom, config.spacing_top, position)
        wanted = factor * spacing_pct(normal.parameters)
        levels = cells_fitting(float(lower), float(upper), wanted, economics)
    shape = Shape(
        kind=GridKind.PROBATIONARY,
        lower=lower,
        upper=upper,
        levels=levels,
        spacing=economics.spacing,
        stop_loss=stop_below(lower, config.stop_loss_atr * setting.atr, setting.rules),
        allocation=allocation_of(setting.allocation, position, setting.quote_places, config),
        least_cycle_pct=config.fewest_fees * max(setting.fees.maker_bps, 0) / 100,
    )
    made = assembled(setting, shape, economics)
    return replace(made, checks=(*made.checks, in_band))


def _place(confidence: float, model: ScoreModel, config: ProbationConfig) -> tuple[float, Check]:
    """Return the place in the band, 0 to 1, and whether the confidence is in it; its upper end is not."""
    sure, lower, upper = score(confidence), config.band_lower(model), config.band_upper
    position = min(max(score((sure - lower) / (upper - lower)), 0.0), 1.0)
    nearer = lower if sure - lower <= upper - sure else upper
    distance = significant(min(sure - lower, upper - sure))
    told = f"{sure:.6g}, needs {lower:.6g} or more and less than {upper:.6g}"
    return position, Check("band", lower <= sure < upper, sure, nearer, distance, told)


def allocation_of(normal: Decimal, position: float, places: int, config: ProbationConfig) -> Decimal:
    """Return the trial's allocation: rounded down, but never below the bottom share of a normal one."""
    step = Decimal(1).scaleb(-places)
    share = Decimal(repr(_between(config.allocation_bottom, config.allocation_top, position)))
    least = Decimal(repr(config.allocation_bottom)) * normal
    return max((share * normal).quantize(step, ROUND_DOWN), least.quantize(step, ROUND_CEILING))


def _between(bottom: float, top: float, position: float) -> float:
    return score(bottom + (top - bottom) * position)


@dataclass(frozen=True, slots=True)
class TrialHour:
    """What one judged hour says about a grid on trial.

    Attributes:
        close, lower, upper: Quote prices; the bounds are the grid's own.
        verdict: Of the hour.
        confidence: Range confidence on the grid's bounds (evidence) or C (classic); None where unknown.
        warned: Whether the exit state is WARNING or worse.
        net_profit: After fees, quote; None where the position is not known.
        allocation: What was put in, quote, above 0.
        cycles: Completed so far; None where not known.
        age_h: Whole hours since the grid started, at the close of the hour.
    """

    close: float
    lower: float
    upper: float
    verdict: Verdict
    confidence: float | None
    warned: bool
    net_profit: float | None
    allocation: float
    cycles: int | None
    age_h: int


@dataclass(frozen=True, slots=True)
class TrialMemory:
    """What a trial remembers from hour to hour.

    Attributes:
        warning_bars: Consecutive judged hours up to now in WARNING or worse.
        weak_bars: The same below the stopping confidence.
        sure_bars: Consecutive hours at or above the promoting confidence; an unjudged one breaks them.
        was_warned: Whether any hour of the trial was in WARNING or worse.
        promoted: The trial is over and passed: from then on the grid is an ordinary one.
    """

    warning_bars: int = 0
    weak_bars: int = 0
    sure_bars: int = 0
    was_warned: bool = False
    promoted: bool = False


def opened() -> TrialMemory:
    """Return the memory of a trial that has just begun."""
    return TrialMemory()


def advanced(memory_: TrialMemory, hour: TrialHour | None, config: ProbationConfig) -> TrialMemory:
    """Return the memory after one more hour.

    An unjudged hour (None) and an unknown confidence never end a count that leads to a stop, and always end
    one that leads to a promotion. One that has passed counts no more.
    """
    if memory_.promoted:
        return memory_
    if hour is None:
        return TrialMemory(memory_.warning_bars, memory_.weak_bars, 0, memory_.was_warned)
    weak, sure = memory_.weak_bars, 0
    if hour.confidence is not None:
        stated = score(hour.confidence)
        weak = weak + 1 if stated < config.stop_confidence else 0
        sure = memory_.sure_bars + 1 if stated >= config.promote_confidence else 0
    return TrialMemory(
        warning_bars=memory_.warning_bars + 1 if hour.warned else 0,
        weak_bars=weak,
        sure_bars=sure,
        was_warned=memory_.was_warned or hour.warned,
    )


def quick_stop(after: TrialMemory, hour: TrialHour, config: ProbationConfig) -> tuple[Check, ...]:
    """Return every reason to stop at once; a check that does not hold is one that stops the grid.

    Args:
        after: Memory after this hour.
        hour: The hour.
        config: Thresholds.
    """
    loss_pct = None if hour.net_profit is None else -100 * hour.net_profit / hour.allocation
    return (
        below("warning_bars", after.warning_bars, config.stop_warning_bars, " h"),
        _close_inside(hour),
        below("weak_bars", after.weak_bars, config.stop_confidence_bars, " h"),
        below("loss", loss_pct, config.stop_loss_pct, " %"),
        at_most("trend", float(hour.verdict is Verdict.TREND), 0.0),
    )


def stops(checks: tuple[Check, ...]) -> bool:
    """Return whether any trigger of a quick stop fired; an unknown one does not, and shows as unknown."""
    return any(check.passed is False for check in checks)


def promotion(after: TrialMemory, hour: TrialHour, config: ProbationConfig) -> tuple[Check, ...]:
    """Return every condition of a promotion to a normal grid; all must hold (`grid.checks.all_passed`)."""
    return (
        at_least("age", hour.age_h, config.promote_age_h, " h"),
        at_least("cycles", hour.cycles, config.promote_cycles),
        above("profit", hour.net_profit, 0.0),
        at_least("sure_bars", after.sure_bars, config.promote_confidence_bars, " h"),
        at_most("was_warned", float(after.was_warned), 0.0),
    )


def expiry(hour: TrialHour, config: ProbationConfig) -> Check:
    """Return whether the trial still runs; it is over at its expiry."""
    return below("expiry", hour.age_h, config.expires_h, " h")


def _close_inside(hour: TrialHour) -> Check:
    """Return whether the close lies within the bounds; on a bound it does."""
    close, lower, upper = significant(hour.close), significant(hour.lower), significant(hour.upper)
    distance = significant(min(close - lower, upper - close))
    bound = lower if close - lower <= upper - close else upper
    told = f"{close:.9g}, needs {lower:.9g} to {upper:.9g}"
    return Check("close_inside", distance >= 0, close, bound, distance, told)


_FORM = ValueForm(TrialMemory)


def as_record(trial: TrialMemory) -> dict[str, Any]:
    """Return the memory as it is recorded every hour."""
    return _FORM.as_record(trial)


def of_record(value: object, where: str = "trial") -> TrialMemory:
    """Return the memory that `as_record` wrote; raises DataInvalid that names the field."""
    return _FORM.of_record(value, where)
