"""The demo's scripted operator: a grid from the first hour on, and advice accepted after 20 minutes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

import numpy as np

from daemon.app import App
from daemon.operator import answer
from daemon.settings import MarketSettings
from decisions.actions import Answer
from decisions.inputs import MarketCosts
from grid.capital import allocation
from grid.economics import TradingRules
from grid.parameters import GridKind, GridParameters
from grid.proposal import Setting, propose
from grid.record import EventKind, GridRecord, new_record, with_event, with_version
from grid.state import state_at
from market.hours import HOUR_S, Hour, Timeframe
from store.advice import Deed
from store.change_set import ChangeSet
from store.grids import encode_grid, grid_path

ANSWERED_AFTER = timedelta(minutes=20)
OPERATOR = "demo"
_LOOK_BACK_H = 168
_LEAST_KNOWN_H = 120


async def start_by_hand(app: App, hour: Hour, rest: timedelta | None = None) -> None:
    """Let a grid run in the first market from the open of `hour` on, between last week's usual prices.

    Nothing happens where one runs, or where that week is not known.

    Args:
        app: The house.
        hour: Just closed.
        rest: So long after its stop the grid is started again, whatever the gates say; None for never.
    """
    market = app.settings.markets[0]
    grid_id = f"{market.key.lower()}-1"
    record = (await app.store.grids()).get(grid_id)
    if record is not None and not _has_rested(record, hour, rest):
        return
    version = 1 if record is None else len(record.versions) + 1
    parameters = await _usual_prices(app, market, hour, version)
    if parameters is None:
        return
    if record is None:
        record = new_record(grid_id, market.key, GridKind.NORMAL, parameters, hour.opens_at)
    else:
        record = with_version(record, parameters, hour.opens_at)
    running = with_event(
        record, EventKind.ENABLED, hour.opens_at, version, reason="started by hand", by=OPERATOR
    )
    await app.store.write(
        ChangeSet({grid_path(grid_id): encode_grid(running)}, f"[grid] {market.key} {grid_id}: enabled")
    )


def _has_rested(record: GridRecord, hour: Hour, rest: timedelta | None) -> bool:
    state = state_at(record, hour.opens_at)
    stopped_at = None if state is None or state.running else state.stopped_at
    return rest is not None and stopped_at is not None and stopped_at + rest <= hour.opens_at


async def _usual_prices(app: App, market: MarketSettings, hour: Hour, version: int) -> GridParameters | None:
    """Return a grid between the 2nd and the 98th percentile of a week's closes; None where there is none."""
    exchange = app.exchange_of(market)
    rules = TradingRules.of(await exchange.rules(market.symbol))
    start_ts = hour.open_ts - _LOOK_BACK_H * HOUR_S
    candles = await exchange.candles(market.symbol, Timeframe.H1, start_ts, hour.open_ts)
    if len(candles) < _LEAST_KNOWN_H:
        return None
    closes = np.array([float(candle.close) for candle in candles])
    spans = np.array([float(candle.high - candle.low) for candle in candles])
    costs: MarketCosts = app.settings.costs_of(market)
    share = allocation(app.settings.capital, {})
    setting = Setting(
        lower=float(np.quantile(closes, 0.02)),
        upper=float(np.quantile(closes, 0.98)),
        atr=float(spans.mean()),
        price=float(closes[-1]),
        rules=rules,
        fees=costs.fees,
        liquidity=costs.liquidity,
        allocation=share.amount,
        deployable=share.capital.deployable,
        version=version,
    )
    return propose(setting, app.settings.economics).parameters


def overlooks(decision_id: str, one_in: int) -> bool:
    """Say whether a busy operator misses an advice: one in so many, by its name and so always the same ones.

    Args:
        decision_id: The advice.
        one_in: 0 for an operator who misses nothing.
    """
    return bool(one_in) and int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:8]) % one_in == 0


async def answer_open_advice(
    app: App, hour: Hour, misses: Callable[[str], bool] = lambda _decision_id: False
) -> int:
    """Accept what the newest hour advises, as a quick operator would; returns how many were accepted.

    Args:
        app: The house, its clock at the moment of the answer.
        hour: Whose advice is answered.
        misses: Says of a decision that this operator overlooks it.
    """
    accepted = 0
    for key in app.board.markets:
        for advice in await app.store.recent_advice(key, hour):
            fresh = advice.closes_at == hour.closes_at and advice.is_open(app.clock.now())
            if fresh and not misses(advice.id):
                await answer(app, advice.id, Deed(Answer.ACCEPT, app.clock.now(), OPERATOR))
                accepted += 1
    return accepted
