"""What a running grid stands to lose, and how near its stop-loss is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exits.readings import Profit
from regime.precision import score, significant


@dataclass(frozen=True, slots=True)
class Holding:
    """What the grid holds now: simulated, or the exchange's balances and open orders where keys exist.

    Attributes:
        base: Coin.
        resting_buys: (price in quote, amount of coin) of each open buy order.
    """

    base: float
    resting_buys: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class PositionRisk:
    """How bad it can get from here, rounded as recorded; None where a figure is unknown.

    Attributes:
        capital_at_risk: Quote lost between now and the stop if every buy on the way fills, the sale at the
            stop paid for; without a stop-loss, all that the coin and the resting buys are worth.
        capital_at_risk_pct: Of the allocation.
        stop_distance_pct: How far the price must fall to the stop, % of the price; 0 or less once there.
        stop_distance_atr: The same in today's ATR.
        unrealised_pnl: Net profit that is not yet from finished cycles, quote.
        given_back: Peak profit no longer there, quote.
        given_back_share: Of the peak; None while there was no profit.
        stop_probability: That the price reaches the stop within the horizon, in [0, 1].
    """

    capital_at_risk: float
    capital_at_risk_pct: float | None
    stop_distance_pct: float | None
    stop_distance_atr: float | None
    unrealised_pnl: float | None
    given_back: float | None
    given_back_share: float | None
    stop_probability: float | None


def position_risk(
    close: float,
    atr: float | None,
    sigma: float | None,
    stop_loss: float | None,
    holding: Holding,
    profit: Profit | None,
    *,
    exit_cost_bps: float,
    horizon_hours: int = 24,
) -> PositionRisk:
    """Return the risk of one grid at the close of an hour.

    Args:
        close: Quote.
        atr: ATR(14) on 1h, quote.
        sigma: Standard deviation of hourly log returns.
        stop_loss: Quote; None for none.
        holding: Coin and open buys.
        profit: None where unknown.
        exit_cost_bps: What a market sale costs: taker fee, half-spread and slippage.
        horizon_hours: For the probability.
    """
    lost = capital_at_risk(close, stop_loss, holding, exit_cost_bps)
    above = None if stop_loss is None else close - stop_loss
    return PositionRisk(
        capital_at_risk=significant(lost),
        capital_at_risk_pct=None if profit is None else significant(100 * lost / profit.allocation),
        stop_distance_pct=None if above is None else significant(100 * above / close),
        stop_distance_atr=None if above is None or atr is None else significant(above / atr),
        unrealised_pnl=None if profit is None else significant(profit.current - profit.realised),
        given_back=None if profit is None else significant(profit.peak - profit.current),
        given_back_share=(
            None
            if profit is None or profit.peak <= 0
            else significant((profit.peak - profit.current) / profit.peak)
        ),
        stop_probability=stop_probability(close, stop_loss, sigma, horizon_hours),
    )


def capital_at_risk(close: float, stop_loss: float | None, holding: Holding, exit_cost_bps: float) -> float:
    """Return what is lost between `close` and a sale at the stop, quote, every buy above the stop filled."""
    stop = min(stop_loss or 0.0, close)
    reached = [(price, amount) for price, amount in holding.resting_buys if price > stop]
    sold = holding.base + sum(amount for _, amount in reached)
    fall = holding.base * (close - stop) + sum((price - stop) * amount for price, amount in reached)
    return fall + sold * stop * exit_cost_bps / 10_000


def stop_probability(
    close: float, stop_loss: float | None, sigma: float | None, horizon_hours: int
) -> float | None:
    """Return the probability that a driftless walk touches the stop at any time within the horizon.

    Returns:
        In [0, 1], rounded to 1e-6: 2 Phi(-ln(close / stop) / (sigma sqrt(h))). A stop acts between closes,
        so the barrier is not moved as for hourly closes. 1 at the stop or below, 0 without one, None
        without a sigma. Says nothing about drift or fat tails.

    Source:
        Reflection principle: W. Feller, An Introduction to Probability Theory II, X.5.
    """
    if stop_loss is None:
        return 0.0
    if close <= stop_loss:
        return 1.0
    if sigma is None:
        return None
    if sigma == 0:
        return 0.0
    return score(math.erfc(math.log(close / stop_loss) / (sigma * math.sqrt(2 * horizon_hours))))
