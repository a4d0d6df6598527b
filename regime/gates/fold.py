"""From hour to hour after a stop: which gate is open for judgement, which have passed, what resets them.

The evaluation of an hour follows from the recorded evaluation of the hour before and from this hour's
readings alone. How an hour is folded:

- Something resets (TREND, TRANSITION for the second hour, a close far beyond the closes since the stop): all
  gates are NOT_EVALUATED and start anew with the next hour.
- Otherwise the first gate that has not passed is judged. It is FAILED until its conditions have held in three
  hours in a row, then PASSED for good. The next gate is judged from the next hour on.
- An hour that is missing or could not be judged fails the gate at its turn with reason `data` and breaks its
  streak. What has passed stays, and so does the count of TRANSITION: nobody saw it end.

The post-stop range is the lowest and the highest close of the judged hours since the stop, this one left
out; closes, because an hour's analysis knows no other price. A close is measured from it in ATR of the hour
before, so that a leap is not its own yardstick. The range only grows, also when it resets the gates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from pydantic import with_config

from market.hours import Hour, instant_iso
from regime.analysis import Verdict
from regime.gates import energy_decay, mean_reversion, tradable_volatility
from regime.gates.conditions import DATA, RECORDED, Condition, below
from regime.gates.config import GatesConfig
from regime.gates.readings import GateReadings
from regime.precision import significant

Status: TypeAlias = Literal["PASSED", "FAILED", "NOT_EVALUATED"]

GATES = (energy_decay.NAME, mean_reversion.NAME, tradable_volatility.NAME)
NOT_HELD, TOO_SHORT = "condition", "streak"


@with_config(RECORDED)
@dataclass(frozen=True, slots=True)
class GateStatus:
    """One gate in one hour.

    Attributes:
        name: One of `GATES`.
        streak: Hours in a row, up to this one, in which all conditions held; 0 once reset.
        passed_at: Close of the hour in which it passed; None while it has not.
        reason: Why it is FAILED: `condition`, `streak` (held, but not long enough yet) or `data`; else None.
        details: What was measured, in the hour that passed it once it has passed; empty if not evaluated.
    """

    name: str
    status: Status
    streak: int
    passed_at: str | None
    reason: str | None
    details: tuple[Condition, ...]


@with_config(RECORDED)
@dataclass(frozen=True, slots=True)
class GateEvaluation:
    """All gates of one stopped grid in one hour: what is recorded, and all that the next hour needs.

    Attributes:
        stopped_at: The stop that these gates follow, as the grid's history writes it.
        hour: The hour evaluated, `2026-02-02T14:00:00Z`.
        gates: In the order in which they must pass.
        lower, upper: Lowest and highest close of the judged hours since the stop; None before the first.
        atr: Of the newest judged hour, None where it was not known.
        transition_bars: Hours of TRANSITION in a row, those not judged left out.
        resets: What would start all anew; `held` where it did not. Empty in an hour that was not judged.
    """

    stopped_at: str
    hour: str
    gates: tuple[GateStatus, GateStatus, GateStatus]
    lower: float | None
    upper: float | None
    atr: float | None
    transition_bars: int
    resets: tuple[Condition, ...]

    @property
    def all_passed(self) -> bool:
        return self.waiting_for is None

    @property
    def waiting_for(self) -> str | None:
        """Return the first gate that has not passed, None where nothing is in the way of a setup."""
        return next((gate.name for gate in self.gates if gate.status != "PASSED"), None)

    @property
    def reset_by(self) -> str | None:
        """Return what reset all gates in this hour."""
        return next((each.name for each in self.resets if not each.held), None)


class Progress(NamedTuple):
    """How many gates have passed, and for how long the conditions of the next one have held."""

    passed: int
    streak: int


ANEW = Progress(0, 0)


def stepped(before: Progress, *, held: bool, bars_to_pass: int) -> Progress:
    """Return the progress after an hour in which the conditions of the gate at its turn held or not."""
    streak = before.streak + 1 if held else 0
    return Progress(before.passed + 1, 0) if streak >= bars_to_pass else Progress(before.passed, streak)


def opened(stopped_at: str, hour: Hour) -> GateEvaluation:
    """Return the evaluation of the hour in which a grid was stopped: nothing evaluated yet.

    Args:
        stopped_at: The instant of the stop.
        hour: The hour in whose record the grid is first seen stopped; it is not judged, because part of it
            was before the stop.
    """
    return GateEvaluation(stopped_at, hour.iso(), _fresh(), None, None, None, 0, ())


def advanced(
    previous: GateEvaluation, hour: Hour, readings: GateReadings | None, config: GatesConfig
) -> GateEvaluation:
    """Return the evaluation of the next hour.

    Args:
        previous: Of the hour before, as recorded; of an earlier one where the hours between have no record,
            which counts as not judged.
        hour: The hour evaluated.
        readings: What was measured; None where the hour is missing or could not be judged.
        config: Thresholds.

    Raises:
        ValueError: The hour is not after the previous one.
    """
    skipped = hour.index - Hour.parse(previous.hour).index - 1
    if skipped < 0:
        raise ValueError(f"{hour.iso()} is not after {previous.hour}, which is evaluated already")
    if readings is None:
        gates = _judged(previous.gates, hour, None, config)
        return replace(previous, hour=hour.iso(), gates=gates, resets=())
    before = _interrupted(previous.gates) if skipped else previous.gates
    transition_bars = previous.transition_bars + 1 if readings.verdict is Verdict.TRANSITION else 0
    resets = _resets(previous, readings, transition_bars, config)
    calm = all(each.held for each in resets)
    close = readings.close
    return GateEvaluation(
        stopped_at=previous.stopped_at,
        hour=hour.iso(),
        gates=_judged(before, hour, readings, config) if calm else _fresh(),
        lower=close if previous.lower is None else min(previous.lower, close),
        upper=close if previous.upper is None else max(previous.upper, close),
        atr=readings.atr,
        transition_bars=transition_bars,
        resets=resets,
    )


def conditions_of(gate: int, readings: GateReadings, config: GatesConfig) -> tuple[Condition, ...]:
    """Return the conditions of one of `GATES` in one hour."""
    if gate == 0:
        return energy_decay.conditions(readings, config.energy_decay)
    if gate == 1:
        return mean_reversion.conditions(readings, config.mean_reversion)
    return tradable_volatility.conditions(readings, config.tradable_volatility)


def _resets(
    previous: GateEvaluation, readings: GateReadings, transition_bars: int, config: GatesConfig
) -> tuple[Condition, ...]:
    return (
        below("trend", float(readings.verdict is Verdict.TREND), 1.0),
        below("transition", float(transition_bars), float(config.transition_bars)),
        _breakout(previous, readings.close, config.breakout_atr),
    )


def _breakout(previous: GateEvaluation, close: float, breakout_atr: float) -> Condition:
    if previous.lower is None or previous.upper is None or previous.atr is None:
        return Condition(
            "breakout", held=True, value=None, threshold=None, distance=None, reason="no range yet"
        )
    beyond = significant(max(previous.lower - close, close - previous.upper))
    return below("breakout", beyond, significant(breakout_atr * previous.atr))


def _judged(
    before: tuple[GateStatus, ...], hour: Hour, readings: GateReadings | None, config: GatesConfig
) -> tuple[GateStatus, GateStatus, GateStatus]:
    """Return the gates after one hour: the first that has not passed is at its turn, the others stay."""
    turn = next((at for at, gate in enumerate(before) if gate.status != "PASSED"), None)
    first, second, third = (
        _evaluated(at, gate, hour, readings, config) if at == turn else gate for at, gate in enumerate(before)
    )
    return first, second, third


def _evaluated(
    at: int, before: GateStatus, hour: Hour, readings: GateReadings | None, config: GatesConfig
) -> GateStatus:
    if readings is None:
        return GateStatus(before.name, "FAILED", 0, None, DATA, _NOTHING_KNOWN)
    details = conditions_of(at, readings, config)
    held = all(each.held for each in details)
    after = stepped(Progress(at, before.streak), held=held, bars_to_pass=config.bars_to_pass)
    if after.passed > at:
        passed_at = instant_iso(hour.closes_at)
        return GateStatus(before.name, "PASSED", before.streak + 1, passed_at, None, details)
    missing = any(each.reason == DATA for each in details)
    reason = TOO_SHORT if held else DATA if missing else NOT_HELD
    return GateStatus(before.name, "FAILED", after.streak, None, reason, details)


def _interrupted(gates: tuple[GateStatus, ...]) -> tuple[GateStatus, ...]:
    return tuple(gate if gate.status == "PASSED" else replace(gate, streak=0) for gate in gates)


def _fresh() -> tuple[GateStatus, GateStatus, GateStatus]:
    first, second, third = (GateStatus(name, "NOT_EVALUATED", 0, None, None, ()) for name in GATES)
    return first, second, third


_NOTHING_KNOWN = (Condition("hour", held=False, value=None, threshold=None, distance=None, reason=DATA),)
