"""The desk's own grids, judged by the very code that advises the operator.

The desk is an operator who always does as advised: a setup is taken, a stop obeyed. Its grids stand where an
operator's would in the hour's inputs, and `decisions.evaluate` says the rest; gates, cooldowns, trials and
exit states are its own, carried from hour to hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import Before, HourInputs, Policy
from decisions.offer import proposed_parameters
from decisions.recommendation import Action, Recommendation
from grid.parameters import GridKind, GridParameters
from grid.state import GridState, as_config, of_config
from market.errors import DataInvalid
from market.hours import Hour


@dataclass(frozen=True, slots=True)
class DeskGrids:
    """Every grid that the desk ever ran in one market, and what the hour before found of them."""

    states: tuple[GridState, ...] = ()
    before: Before | None = None

    def running(self) -> GridState | None:
        return next((state for state in self.states if state.running), None)

    def as_value(self) -> dict[str, Any]:
        """Return the grids as the hour's record holds them."""
        before = self.before
        return {
            "states": [as_config(state) for state in self.states],
            "before": None
            if before is None
            else {"hour": before.hour.iso(), "gates": before.gates, "exits": before.exits},
        }

    @classmethod
    def of_value(cls, value: object, where: str) -> DeskGrids:
        """Return the grids that `as_value` wrote.

        Raises:
            DataInvalid: Names the field.
        """
        try:
            states, before = value["states"], value["before"]  # type: ignore[index]
            told = None
            if before is not None:
                told = Before(Hour.parse(before["hour"]), dict(before["gates"]), dict(before["exits"]))
            return cls(tuple(of_config(state, where) for state in states), told)
        except (KeyError, TypeError, ValueError) as error:
            raise DataInvalid(where, "grids", f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the decision code found in one market, with the desk's grids in place of the operator's."""

    evaluation: Evaluation
    grids: DeskGrids
    advice: Recommendation | None = field(default=None)

    @property
    def stop(self) -> str | None:
        """Why the running grid is to be stopped, None where it is not."""
        advice = self.advice
        return advice.reason if advice is not None and advice.action is Action.STOP_GRID else None

    @property
    def setup(self) -> GridParameters | None:
        """The grid to set up now, None where none is advised."""
        advice = self.advice
        if advice is None or not advice.action.creates or advice.proposed is None:
            return None
        return proposed_parameters(advice.proposed)


def judged(
    key: str, inputs: HourInputs, grids: Mapping[str, DeskGrids], policy: Policy, capital: float
) -> Judged:
    """Return what the decision code says of the hour.

    Args:
        key: Market.
        inputs: As the daemon judged it; the operator's grids and answers are left out.
        grids: The desk's, of every market: they share the capital.
        policy: The rules in force.
        capital: What the account is worth, quote.

    Raises:
        DataInvalid: A record that came with the state is not what was written.
    """
    own = grids.get(key, DeskGrids())
    everywhere = tuple(state for market in sorted(grids) for state in grids[market].states)
    as_ours = replace(inputs, grids=everywhere, before=own.before, past=(), funds=None)
    rules = replace(policy, capital=policy.capital.model_copy(update={"total_quote": capital}))
    found = evaluate(as_ours, rules)
    before = Before(inputs.hour, found.gates_value(), found.exits_value())
    advice = found.advice[0] if found.advice else None
    return Judged(found, replace(own, before=before), advice)


def started(grids: DeskGrids, advice: Recommendation, parameters: GridParameters) -> DeskGrids:
    """Return the grids with an advised one running since the close of its hour."""
    assert advice.proposed is not None
    at = advice.hour.closes_at
    state = GridState(
        grid_id=advice.grid_id,
        market=advice.key,
        kind=GridKind(advice.proposed["kind"]),
        running=True,
        parameters=parameters,
        started_at=at,
        stopped_at=None,
        stop_reason=None,
        in_force_since=at,
    )
    others = tuple(each for each in grids.states if each.grid_id != advice.grid_id)
    return replace(grids, states=(*others, state))


def stopped(grids: DeskGrids, hour: Hour, why: str) -> DeskGrids:
    """Return the grids with the running one stopped at the close of an hour."""
    return replace(
        grids,
        states=tuple(
            replace(
                state, running=False, stopped_at=hour.closes_at, stop_reason=why[:200], in_force_since=None
            )
            if state.running
            else state
            for state in grids.states
        ),
    )
