"""One plausible hour of a calm market, to be spoilt one fact at a time, and an engine that says as told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from decisions.config import AdviceConfig
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import Before, Calibration, EdgeBand, HourInputs, MarketCosts, Policy
from decisions.recommendation import Recommendation
from grid.economics import TradingRules
from grid.geometry import Spacing
from grid.parameters import GridKind, GridParameters
from grid.state import GridState
from market.candles import Bars, bars_of
from market.costs import LIQUIDITY_BY_TIER, Fees
from market.hours import Hour, Timeframe
from market.snapshot import MarketSummary
from market.window import MarketWindow, WindowQuality
from regime.analysis import (
    Confidence,
    Insufficient,
    MetricReading,
    PriceRange,
    RegimeAnalysis,
    Verdict,
)
from regime.config import RegimeConfig
from store import yaml_text

KEY = "ETH-USDT"
HOUR = Hour.parse("2026-02-02T14")
SCALE = 100
RULES = TradingRules(Decimal("0.01"), Decimal("0.0001"), Decimal("0.001"), Decimal("0.1"))
HISTORY = 240
CHEAP = {KEY: MarketCosts(Fees(maker_bps=5, taker_bps=5), LIQUIDITY_BY_TIER["major"])}
LONG_AGO = HOUR.plus(-100).opens_at


def reading(value: float | None, reason: str | None = None) -> MetricReading:
    return MetricReading(value, reason, None if value is None else 0.2, 0, None, None)


ANALYSIS = RegimeAnalysis(
    verdict=Verdict.RANGE_OK,
    score_model="evidence",
    hold_probability=0.86,
    barrier_probability=0.84,
    trendiness=0.2,
    trendiness_4h=0.2,
    verdict_4h=Verdict.RANGE_OK,
    p_transition=0.1,
    evidence_verdict=Verdict.RANGE_OK,
    classic_verdict=Verdict.RANGE_OK,
    metrics={
        "adx": reading(18.0),
        "efficiency_ratio": reading(0.15),
        "autocorrelation": reading(-0.02),
        "half_life": reading(10.0),
        "slope": reading(0.05),
        "expansion": reading(1.1),
    },
    vetoes=(),
    distances={},
    range=PriceRange(1900.0, 2100.0, 2000.0, 10.0, 10.0, 3, 4, 120, 0.95, 120, valid=True),
    price=2000.0,
    atr=20.0,
    hourly_sigma=0.004,
    flips_168=1,
    dwell_h=30,
    confidence=Confidence(0.86, {"p": 0.86}),
    diagnostics={
        "adx_3_bars_ago": 19.0,
        "dickey_fuller_t": -3.0,
        "excursions_48h": 2.0,
        "atr_ratio": 1.0,
        "atr_pct": 1.0,
        "turnover_24h": 1e8,
        "z_score": 0.0,
        "efficiency_ratio_3_bars_ago": 0.15,
        "half_life_range_ok_7d": 10.0,
        "atr_range_ok_7d": 20.0,
    },
    early_warning={},
)


def analysis(**others: Any) -> RegimeAnalysis:
    """Return the calm analysis with some facts changed."""
    return replace(ANALYSIS, **others)


def trending() -> RegimeAnalysis:
    """Return an hour of TREND by every model."""
    trend = Verdict.TREND
    return analysis(verdict=trend, evidence_verdict=trend, classic_verdict=trend, verdict_4h=trend)


def metric(name: str, value: float | None) -> dict[str, MetricReading]:
    """Return the calm metrics with one changed."""
    return {**ANALYSIS.metrics, name: reading(value)}


def known(**others: float | None) -> dict[str, float | None]:
    """Return the calm diagnostics with some changed."""
    return {**ANALYSIS.diagnostics, **others}


@dataclass(frozen=True)
class FakeAnalyser:
    """An engine that says what it is told, hour by hour or always the same."""

    always: RegimeAnalysis | Insufficient = ANALYSIS
    by_hour: Mapping[Hour, RegimeAnalysis | Insufficient] = field(default_factory=dict)
    config: RegimeConfig = field(default_factory=RegimeConfig)

    def analyze(self, window: MarketWindow) -> RegimeAnalysis | Insufficient:
        return self.by_hour.get(window.hour, self.always)


def policy(found: RegimeAnalysis | Insufficient = ANALYSIS, **others: Any) -> Policy:
    """Return the default rules, with an engine that finds `found` in every hour."""
    return Policy(
        **{"config_hash": "c0ffee", "engine": FakeAnalyser(found), "max_missing_minutes": 3, **others}
    )


def quiet(**others: Any) -> AdviceConfig:
    """Return advice rules without cooldowns."""
    return AdviceConfig(**{"cooldown_stopped_min": 0, "cooldown_declined_min": 0, **others})


def hourly_bars(hour: Hour = HOUR, close: float = 2000.0, bars: int = HISTORY, swing: float = 95.0) -> Bars:
    """Return 1h bars up to an hour that swing from 1900 to 2100 and back in a day, the last at `close`."""
    rows, before = [], 2000.0
    for back in range(bars - 1, -1, -1):
        opens = hour.open_ts - 3600 * back
        now = close if back == 0 else 2000.0 + swing * float(np.sin(2 * np.pi * (opens // 3600) / 24))
        first, last = round(before * SCALE), round(now * SCALE)
        rows.append((opens, first, max(first, last) + 500, min(first, last) - 500, last, 1000))
        before = now
    return bars_of(Timeframe.H1, rows)


def minute_bars(hour: Hour = HOUR, prices: tuple[float, ...] = (2000.0,), missing: int = 0) -> Bars:
    """Return an hour's minutes that walk through some prices in equal steps of time."""
    rows, before = [], round(prices[0] * SCALE)
    for minute in range(60 - missing):
        now = round(prices[min(minute * len(prices) // 60, len(prices) - 1)] * SCALE)
        rows.append((hour.open_ts + 60 * minute, before, max(before, now), min(before, now), now, 10))
        before = now
    return bars_of(Timeframe.M1, rows)


def window(hour: Hour = HOUR, *, close: float = 2000.0, missing: int = 0, bar: bool = True) -> MarketWindow:
    """Return the window of an hour; without its own bar it ends an hour earlier."""
    bars = hourly_bars(hour if bar else hour.plus(-1), close)
    return MarketWindow(
        key=KEY,
        hour=hour,
        known_at=hour.closes_at + timedelta(seconds=5),
        price_scale=SCALE,
        volume_scale=1000,
        bars={Timeframe.H1: bars},
        first_ts={Timeframe.H1: int(bars.ts[0])},
        quality=WindowQuality(missing=missing),
    )


def inputs(
    hour: Hour = HOUR,
    *,
    grids: tuple[GridState, ...] | None = (),
    close: float = 2000.0,
    prices: tuple[float, ...] = (2000.0,),
    missing: int = 0,
    bar: bool = True,
    **others: Any,
) -> HourInputs:
    """Return what a calm hour may know."""
    cents = round(close * SCALE)
    facts: dict[str, Any] = {
        "key": KEY,
        "hour": hour,
        "known_at": hour.closes_at + timedelta(seconds=5),
        "window": window(hour, close=close, missing=missing, bar=bar),
        "files": {},
        "summary": MarketSummary(cents, cents, cents, cents, 1000, None) if bar else None,
        "has_bar": bar,
        "minutes": minute_bars(hour, prices, missing),
        "grids": grids,
        "rules": RULES,
        "calibration": calibration(),
    }
    return HourInputs(**{**facts, **others})


def unjudged(hour: Hour = HOUR, close: float = 2000.0, **others: Any) -> HourInputs:
    """Return an hour with too many minutes missing; its close is known."""
    return inputs(hour, close=close, missing=30, **others)


def no_data(hour: Hour = HOUR, **others: Any) -> HourInputs:
    """Return an hour of which nothing could be had."""
    return inputs(hour, missing=60, bar=False, **others)


def calibration(low: float = 2.0, mean: float = 9.0) -> Calibration:
    """Return a record by which grids earn a little in every band of p."""
    return Calibration(
        "calibration/ETH-USDT/2026-01.yaml", (EdgeBand(0.0, 1.0, 900, mean, low, 16.0, 10.0, 14.0),)
    )


def parameters(version: int = 1, **others: Any) -> GridParameters:
    """Return a grid from 1,900 to 2,100."""
    fields: dict[str, Any] = {
        "lower": Decimal(1900),
        "upper": Decimal(2100),
        "levels": 4,
        "spacing": Spacing.GEOMETRIC,
        "amount_per_grid": Decimal(150),
        "stop_loss": Decimal(1870),
    }
    return GridParameters(version=version, **{**fields, **others})


def running(
    grid_id: str = "eth-usdt-1",
    *,
    since: datetime = HOUR.opens_at,
    kind: GridKind = GridKind.NORMAL,
    market: str = KEY,
    in_force_since: datetime | None = None,
    **others: Any,
) -> GridState:
    """Return a grid that runs since the hour's open."""
    own = parameters(**others)
    return GridState(grid_id, market, kind, True, own, since, None, None, in_force_since or since)


def stopped(
    grid_id: str = "eth-usdt-1",
    *,
    at: datetime | None = LONG_AGO,
    kind: GridKind = GridKind.NORMAL,
    **others: Any,
) -> GridState:
    """Return a grid that was stopped a hundred hours ago; None for one that never ran."""
    since = None if at is None else at - timedelta(hours=30)
    return GridState(
        grid_id, KEY, kind, False, parameters(**others), since, at, None if at is None else "dec-1"
    )


def asleep(grid: GridState, at: datetime) -> GridState:
    """Return a running grid after its stop."""
    return replace(grid, running=False, stopped_at=at, stop_reason="dec-2", in_force_since=None)


def recorded(evaluation: Evaluation) -> Before:
    """Return what the next hour reads of an evaluation, through the bytes of the record."""
    value = {"gates": evaluation.gates_value(), "exits": evaluation.exits_value()}
    read = yaml_text.load(yaml_text.dump(value), "metrics")
    return Before(evaluation.inputs.hour, read["gates"], read["exits"])


def remembered(evaluation: Evaluation) -> Before:
    """Return what the next hour reads of an evaluation that never left the memory."""
    return Before(evaluation.inputs.hour, evaluation.gates_value(), evaluation.exits_value())


def followed(hours: list[HourInputs], rules: Policy) -> list[Evaluation]:
    """Return the evaluations of hours in a row, each from the record of the one before."""
    found: list[Evaluation] = []
    for each in hours:
        before = recorded(found[-1]) if found else None
        found.append(evaluate(replace(each, before=before), rules))
    return found


def advice_of(found: Evaluation) -> Recommendation:
    """Return the only recommendation of an evaluation."""
    (only,) = found.advice
    return only


def passed_gates(grid: GridState, hour: Hour = HOUR, rules: Policy | None = None, hours: int = 12) -> Before:
    """Return the record of the hour before `hour`, after so many calm hours, in which gates pass."""
    rules = rules or policy()
    first = hour.plus(-hours)
    found = followed([inputs(first.plus(at), grids=(grid,)) for at in range(hours)], rules)
    return recorded(found[-1])
