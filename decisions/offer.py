"""What an hour offers a new grid: bounds, capital, the proposal, and what it would be worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np

from decisions.inputs import EdgeBand, HourInputs, Policy
from grid.capital import Allocation, allocation
from grid.economics import spacing_factor
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.probation import Band, band_of, propose_probationary
from grid.proposal import Proposal, Setting, propose
from grid.state import GridState
from market.hours import Timeframe, micros
from regime.analysis import PriceRange, RegimeAnalysis
from regime.precision import score, significant
from regime.ranges import find_ranges, range_at


@dataclass(frozen=True, slots=True)
class Offer:
    """A grid that could be set up in this hour, and what is known of it.

    Attributes:
        drawn: The range that it stands on: the market's, or after a stop one of the bars since only.
        bars: Bars that the range was drawn from.
        proposal: None where the increments, the range or the ATR are not known.
        factor: What its spacing leaves of the confidence; None where a setup is invalid.
        edge: What such grids were worth in this band of p; None where that was not measured.
    """

    drawn: PriceRange | None
    bars: int | None
    allocation: Allocation
    proposal: Proposal | None
    factor: float | None
    edge: EdgeBand | None

    def expected(self) -> dict[str, Any] | None:
        """Return the edge as a record tells it."""
        return None if self.edge is None else asdict(self.edge)


def offer_of(
    inputs: HourInputs,
    analysis: RegimeAnalysis | None,
    policy: Policy,
    *,
    since: datetime | None,
    version: int,
    without: str | None = None,
) -> Offer:
    """Return what could be set up.

    Args:
        inputs, analysis, policy: Of the hour.
        since: Draw bounds from bars after this instant only; None takes the market's range.
        version: Number that the proposal gets.
        without: A running grid whose capital counts as free, for its own repositioning.
    """
    bound = dict(bound_capital(inputs))
    freed = Decimal(0) if without is None else bound.pop(without, Decimal(0))
    spare = allocation(policy.capital, bound, inputs.funds, freed)
    drawn, bars = _range(inputs, analysis, policy, since)
    proposal, factor = None, None
    if analysis is not None and drawn is not None and analysis.atr and inputs.rules is not None:
        costs = policy.costs_of(inputs.key)
        setting = Setting(
            lower=drawn.lower,
            upper=drawn.upper,
            atr=analysis.atr,
            price=analysis.price,
            rules=inputs.rules,
            fees=costs.fees,
            liquidity=costs.liquidity,
            allocation=spare.amount,
            deployable=spare.capital.deployable,
            version=version,
            quote_places=policy.capital.quote_places,
        )
        proposal = propose(setting, policy.economics)
        factor = _factor(proposal, policy, inputs.key)
        if factor is not None:
            sure = sureness(analysis, factor)
            if confidence_band(analysis, factor, policy).kind is GridKind.PROBATIONARY:
                proposal = propose_probationary(
                    setting, sure, analysis.score_model, policy.economics, policy.probation
                )
    edge = None
    if inputs.calibration is not None and analysis is not None and analysis.hold_probability is not None:
        edge = inputs.calibration.band_of(analysis.hold_probability)
    return Offer(drawn, bars, spare, proposal, factor, edge)


def sureness(analysis: RegimeAnalysis, factor: float) -> float:
    """Return the confidence of a setup: the market's times what the spacing leaves of it."""
    return score(analysis.confidence.value * factor)


def confidence_band(analysis: RegimeAnalysis, factor: float, policy: Policy) -> Band:
    """Return what a setup's confidence allows."""
    return band_of(sureness(analysis, factor), analysis.score_model, policy.probation)


def bound_capital(inputs: HourInputs) -> Mapping[str, Decimal]:
    """Return what each running grid of the repository binds, quote: its levels, each at its amount."""
    return {
        grid.grid_id: grid.parameters.amount_per_grid * grid.parameters.levels
        for grid in inputs.grids or ()
        if grid.running
    }


def proposed_value(proposal: Proposal) -> dict[str, Any] | None:
    """Return a proposal as a record tells it: parameters, the exchange's form, what it may cost."""
    parameters, form = proposal.parameters, proposal.form
    if parameters is None or form is None:
        return None
    return {
        "kind": proposal.kind.value,
        "version": parameters.version,
        "lower": float(parameters.lower),
        "upper": float(parameters.upper),
        "levels": parameters.levels,
        "spacing": parameters.spacing.value,
        "amount_per_grid": float(parameters.amount_per_grid),
        "stop_loss": None if parameters.stop_loss is None else float(parameters.stop_loss),
        "investment": float(proposal.investment),
        "spacing_pct": proposal.spacing_pct,
        "net_cycle_pct": proposal.net_cycle_pct,
        "loss_at_stop": proposal.stop_loss_quote,
        "form": dict(form.rows()),
    }


def proposed_parameters(told: Mapping[str, Any]) -> GridParameters:
    """Return the version that `proposed_value` told; raises DataInvalid where it is none."""
    stop = told["stop_loss"]
    return GridParameters(
        version=told["version"],
        lower=_decimal(told["lower"]),
        upper=_decimal(told["upper"]),
        levels=told["levels"],
        spacing=Spacing(told["spacing"]),
        amount_per_grid=_decimal(told["amount_per_grid"]),
        stop_loss=None if stop is None else _decimal(stop),
    )


def _decimal(number: float) -> Decimal:
    return Decimal(repr(number))


def last_stopped(grids: tuple[GridState, ...]) -> GridState | None:
    """Return the grid that was stopped last, None where none ever was."""
    stopped = [(grid.stopped_at, grid.grid_id, grid) for grid in grids if grid.stopped_at is not None]
    return max(stopped, key=lambda found: (found[0], found[1]))[2] if stopped else None


def _factor(proposal: Proposal, policy: Policy, key: str) -> float | None:
    if proposal.spacing_pct is None:
        return None
    return spacing_factor(proposal.spacing_pct, policy.costs_of(key).round_trip_bps, policy.economics)


def _range(
    inputs: HourInputs, analysis: RegimeAnalysis | None, policy: Policy, since: datetime | None
) -> tuple[PriceRange | None, int | None]:
    if analysis is None:
        return None, None
    if since is None:
        return analysis.range, analysis.range.lookback_h
    return range_since(inputs, analysis, policy, since)


def range_since(
    inputs: HourInputs, analysis: RegimeAnalysis, policy: Policy, since: datetime
) -> tuple[PriceRange | None, int]:
    """Return the range of the bars that opened at or after an instant, and how many there are.

    None with fewer than `advice.fresh_hours` of them, or without an ATR. The market's own look-backs are
    tried as far as they fit, else all bars since are one look-back.
    """
    hours = inputs.window.bars[Timeframe.H1]
    first = int(np.searchsorted(hours.ts, -(-micros(since) // 10**6)))
    bars = len(hours) - first
    if bars < policy.advice.fresh_hours or analysis.atr is None:
        return None, bars
    config, scale = policy.engine.config.range, inputs.window.price_scale
    span = min(bars, max(config.lookbacks))
    fitting = tuple(bars_back for bars_back in config.lookbacks if bars_back <= span) or (span,)
    fresh = config.model_copy(update={"lookbacks": fitting, "fallback_lookback": fitting[-1]})
    tail = hours.rows(len(hours) - span, len(hours))
    high, low, close = (column / scale for column in (tail.high, tail.low, tail.close))
    atr = np.full(span, analysis.atr)
    found = find_ranges(high, low, close, atr, scale, fresh, first=span - 1)
    if not int(found.lookback[0]):
        return None, bars
    return range_at(found, 0, close, significant(analysis.atr), scale, fresh), bars
