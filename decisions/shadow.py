"""How far a second policy agrees with the one in force, hour by hour on the same windows. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from decisions.intervals import wilson
from market.hours import Hour

WEEK_H = 168


@dataclass(frozen=True, slots=True)
class Advised:
    """An action about one grid, and why."""

    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyHour:
    """What one policy made of an hour.

    Attributes:
        verdict: None where the hour could not be judged.
        hold_probability: That the market's range holds 24 h.
        advice: By grid.
        exits: Exit state by running grid.
    """

    verdict: str | None
    hold_probability: float | None
    advice: Mapping[str, Advised] = field(default_factory=dict)
    exits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OtherAction:
    """An hour in which the two would have had the operator do different things; None: no advice."""

    hour: Hour
    grid_id: str
    in_force: Advised | None
    shadow: Advised | None


@dataclass(frozen=True, slots=True)
class OtherExit:
    """An hour after which a grid stood in different exit states; None: the grid is not followed."""

    hour: Hour
    grid_id: str
    in_force: str | None
    shadow: str | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two policies over the hours that both have looked at.

    Attributes:
        compared: Hours with a record of both.
        verdicts: Hours by (verdict in force, the shadow's); None is an hour without a verdict.
        p_pairs: Hours in which both state a probability.
        p_difference: Mean of the shadow's less the one in force; None without such hours.
        p_distance: Mean of the same without its sign.
        grid_hours: Pieces of advice that were compared.
        exit_hours: Exit states that were compared.
    """

    compared: int
    verdicts: Mapping[tuple[str | None, str | None], int]
    p_pairs: int
    p_difference: float | None
    p_distance: float | None
    grid_hours: int
    other_actions: tuple[OtherAction, ...]
    exit_hours: int
    other_exits: tuple[OtherExit, ...]

    @property
    def judged(self) -> int:
        """Hours in which both have a verdict: the n of the share."""
        return sum(count for pair, count in self.verdicts.items() if None not in pair)

    @property
    def equal(self) -> int:
        return sum(n for (ours, theirs), n in self.verdicts.items() if ours is not None and ours == theirs)

    @property
    def share(self) -> tuple[float, float, float] | None:
        """Share of equal verdicts with its 95 % interval; None without hours that both judged."""
        return (
            None
            if not self.judged
            else (self.equal / self.judged, *wilson(self.equal / self.judged, self.judged))
        )

    @property
    def hours_to_a_week(self) -> int:
        """How many compared hours are wanting to a week; 0 when it is complete."""
        return max(0, WEEK_H - self.compared)


def agreement(hours: Iterable[tuple[Hour, PolicyHour, PolicyHour]]) -> Agreement:
    """Compare hours, each as the policy in force and the shadow judged it; oldest first."""
    verdicts: Counter[tuple[str | None, str | None]] = Counter()
    differences: list[float] = []
    other_actions: list[OtherAction] = []
    other_exits: list[OtherExit] = []
    compared = grid_hours = exit_hours = 0
    for hour, ours, theirs in hours:
        compared += 1
        verdicts[ours.verdict, theirs.verdict] += 1
        if ours.hold_probability is not None and theirs.hold_probability is not None:
            differences.append(theirs.hold_probability - ours.hold_probability)
        for grid_id in _either(ours.advice, theirs.advice):
            grid_hours += 1
            a, b = ours.advice.get(grid_id), theirs.advice.get(grid_id)
            if a is None or b is None or a.action != b.action:
                other_actions.append(OtherAction(hour, grid_id, a, b))
        for grid_id in _either(ours.exits, theirs.exits):
            exit_hours += 1
            if ours.exits.get(grid_id) != theirs.exits.get(grid_id):
                other_exits.append(
                    OtherExit(hour, grid_id, ours.exits.get(grid_id), theirs.exits.get(grid_id))
                )
    n = len(differences)
    return Agreement(
        compared=compared,
        verdicts=dict(verdicts),
        p_pairs=n,
        p_difference=fsum(differences) / n if n else None,
        p_distance=fsum(map(abs, differences)) / n if n else None,
        grid_hours=grid_hours,
        other_actions=tuple(other_actions),
        exit_hours=exit_hours,
        other_exits=tuple(other_exits),
    )


def _either(ours: Mapping[str, object], theirs: Mapping[str, object]) -> Sequence[str]:
    return sorted({*ours, *theirs})
