"""The demo's scripted operator: a grid from the first hour on, and every advice accepted in 20 minutes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from daemon.app import App
from daemon.operator import answer
from decisions.actions import Answer
from decisions.inputs import MarketCosts
from grid.capital import allocation
from grid.economics import TradingRules
from grid.parameters import GridKind
from grid.proposal import Setting, propose
from grid.record import EventKind, new_record, with_event
from market.hours import HOUR_S, Hour, Timeframe
from store.advice import Deed
from store.change_set import ChangeSet
from store.grids import encode_grid, grid_path

ANSWERED_AFTER = timedelta(minutes=20)
OPERATOR = "demo"
_LOOK_BACK_H = 168


async def start_first_grid(app: App, hour: Hour) -> None:
    """Let a grid run in the first market from the open of `hour` on, between last week's usual prices.

    Nothing happens where a grid exists already.
    """
    market = app.settings.markets[0]
    if await app.store.grids():
        return
    exchange = app.exchange_of(market)
    rules = TradingRules.of(await exchange.rules(market.symbol))
    start_ts = hour.open_ts - _LOOK_BACK_H * HOUR_S
    candles = await exchange.candles(market.symbol, Timeframe.H1, start_ts, hour.open_ts)
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
        version=1,
    )
    proposal = propose(setting, app.settings.economics)
    if proposal.parameters is None:
        return
    grid_id = f"{market.key.lower()}-1"
    made = new_record(grid_id, market.key, GridKind.NORMAL, proposal.parameters, hour.opens_at)
    running = with_event(
        made, EventKind.ENABLED, hour.opens_at, 1, reason="the demo's first grid", by=OPERATOR
    )
    await app.store.write(
        ChangeSet({grid_path(grid_id): encode_grid(running)}, f"[grid] {market.key} {grid_id}: enabled")
    )


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
