"""What one hour may know, and the rules it is judged by: all that the spine is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from decisions.config import AdviceConfig
from decisions.timers import PastAdvice
from exits.config import ExitsConfig
from grid.capital import CapitalConfig, Funds
from grid.economics import EconomicsConfig, TradingRules
from grid.probation import ProbationConfig
from grid.state import GridState
from market.candles import Bars, no_bars
from market.costs import LIQUIDITY_BY_TIER, Fees, Liquidity, OrderCosts, round_trip_bps
from market.hours import Hour, Timeframe
from market.snapshot import MarketSummary
from market.window import MarketWindow
from regime.analysis import Insufficient, RegimeAnalysis
from regime.config import RegimeConfig
from regime.gates.config import GatesConfig


@dataclass(frozen=True, slots=True)
class Before:
    """What the record of the nearest hour before says of the market's grids, as it stands there."""

    hour: Hour
    gates: Mapping[str, Any] = field(default_factory=dict)
    exits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EdgeBand:
    """What a standard grid was worth in one band of p, walk-forward, by a calibration record.

    Attributes:
        p_low, p_high: The band, half-open.
        n: Hours in it.
        net_bps_24h: Mean net value over 24 h against holding the same coin share, bps.
        low, high: Its interval.
        maker_bps: Fee that it was counted with.
        break_even_bps: Maker fee at which it would be 0; None where unknown.
    """

    p_low: float
    p_high: float
    n: int
    net_bps_24h: float
    low: float
    high: float
    maker_bps: float
    break_even_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration record in force: where it lies and what it says of the edge."""

    path: str
    edge_by_band: tuple[EdgeBand, ...]

    def band_of(self, probability: float) -> EdgeBand | None:
        """Return the band that holds a probability, None where it was too rare to say."""
        return next((b for b in self.edge_by_band if b.p_low <= probability < b.p_high), None)


@dataclass(frozen=True, slots=True)
class HourInputs:
    """Everything that one hour's evaluation may know, as read back from the store.

    Attributes:
        known_at: Only files collected at or before this instant take part.
        window: Bars up to the hour.
        files: Path to digest of each input file that the hour before did not name already, and the hour
            before itself: a chain that names every input once.
        summary: The hour's own line, in the window's scales; None when none of its minutes is known.
        has_bar: True where the hour's own 1h bar is in the window.
        revised: Hours whose candles the exchange has changed since, noticed in this hour.
        minutes: The hour's own minutes, in the window's scales; unknown ones are left out.
        grids: Every grid of the repository at the close of the hour, as its snapshot tells; None where the
            hour has no snapshot.
        rules: Increments and minima of the market, as its snapshot tells.
        funds: The quote coin by the exchange's balances, as its snapshot tells; None without keys.
        before: The record of the nearest hour before; None at first.
        past: Advice of the last hours with the actions known so far, oldest first.
        calibration: The newest record of what the probabilities were worth.
    """

    key: str
    hour: Hour
    known_at: datetime
    window: MarketWindow
    files: Mapping[str, str]
    summary: MarketSummary | None
    has_bar: bool
    revised: tuple[str, ...] = ()
    minutes: Bars = field(default_factory=lambda: no_bars(Timeframe.M1))
    grids: tuple[GridState, ...] | None = ()
    rules: TradingRules | None = None
    funds: Funds | None = None
    before: Before | None = None
    past: tuple[PastAdvice, ...] = ()
    calibration: Calibration | None = None

    def own_grids(self) -> tuple[GridState, ...]:
        """Return the market's own grids, by id."""
        own = [grid for grid in self.grids or () if grid.market == self.key]
        return tuple(sorted(own, key=lambda grid: grid.grid_id))


class Analyser(Protocol):
    """What the spine asks of the regime engine."""

    @property
    def config(self) -> RegimeConfig: ...

    def analyze(self, window: MarketWindow) -> RegimeAnalysis | Insufficient: ...


@dataclass(frozen=True, slots=True)
class MarketCosts:
    """What trading costs in one market."""

    fees: Fees
    liquidity: Liquidity

    @property
    def order(self) -> OrderCosts:
        """As a simulation counts."""
        return OrderCosts.of(self.fees, self.exit_slippage_bps)

    @property
    def exit_slippage_bps(self) -> float:
        """How much worse than the price seen a small market order executes."""
        return self.liquidity.half_spread_bps + self.liquidity.slippage_bps

    @property
    def exit_bps(self) -> float:
        """What a market sale costs in all."""
        return self.fees.taker_bps + self.exit_slippage_bps

    @property
    def round_trip_bps(self) -> float:
        """What a grid cycle costs."""
        return round_trip_bps(self.fees, self.liquidity.half_spread_bps, self.liquidity.slippage_bps)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force, under the name that every record quotes."""

    config_hash: str
    engine: Analyser
    max_missing_minutes: int
    costs: Mapping[str, MarketCosts] = field(default_factory=dict)
    gates: GatesConfig = field(default_factory=GatesConfig)
    exits: ExitsConfig = field(default_factory=ExitsConfig)
    capital: CapitalConfig = field(default_factory=CapitalConfig)
    economics: EconomicsConfig = field(default_factory=EconomicsConfig)
    probation: ProbationConfig = field(default_factory=ProbationConfig)
    advice: AdviceConfig = field(default_factory=AdviceConfig)

    def costs_of(self, key: str) -> MarketCosts:
        """Return what trading costs in a market; one that is not configured has the usual fees."""
        return self.costs.get(key) or MarketCosts(Fees(), LIQUIDITY_BY_TIER["liquid"])
