"""A closed trade in plain words: why entered, why this size, price and route, what it cost, why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from market.hours import Hour
from market.orders import CASH_SCALE
from store.desk_files import DeskFile, newest_desk, read_desk
from store.paths import desk_path
from trading.desk_state import DeskState
from trading.ledger import Position
from trading.reasons import MEANINGS
from trading.trades import OrderLine, TradePlan, TradeRecord


def entry_hour(root: Path, trade: TradePlan | TradeRecord) -> DeskFile | None:
    """Return the desk's hour in which a trade was begun; None where the repository does not have it.

    Raises:
        DataInvalid: The file is corrupt.
    """
    return read_desk(root, Hour.parse(trade.opened))


def open_trades(root: Path) -> list[Position]:
    """Return the trades that are open after the desk's newest hour.

    Raises:
        DataInvalid: The file is corrupt.
    """
    newest = newest_desk(root)
    if newest is None:
        return []
    return list(DeskState.of_value(newest.state, desk_path(newest.of_hour)).ledger.positions)


def told_open(position: Position, entry: DeskFile | None) -> list[str]:
    """Return an open trade as paragraphs: why it was entered, why this size, price and route, so far."""
    plan = position.plan
    return [
        f"{plan.id}: open; {len(position.orders) or position.order_count} orders so far",
        _entered(plan),
        (
            f"Why this size: {_sentence(plan.why_this_size)}"
            f" Of an account of {_quote(plan.nav_before)} {plan.quote}."
        ),
        f"Why this price and route: {_route(position.orders, position.order_count)}",
        _beside(plan.opened, entry),
    ]


def told(trade: TradeRecord, entry: DeskFile | None) -> list[str]:
    """Return the trade as paragraphs, each after the question that it answers."""
    coin = trade.key.partition("-")[0]
    held = f"{trade.held_hours:g} h from {trade.entry_at}" if trade.entry_at else "never filled"
    grid = "" if trade.cycles is None else f", {trade.cycles} cycles"
    result = f"{trade.cents.net} {trade.quote}" + ("" if trade.r is None else f", {trade.r:.2f} R")
    return [
        f"{trade.id}: {result}; {held} to {trade.exit_at}{grid}",
        _entered(trade),
        (
            f"Why this size: {_sentence(trade.why_this_size)} Bought {trade.bought} {coin}"
            f" at {trade.entry_price or 'no price'} on average, of an account of"
            f" {_quote(trade.nav_before)} {trade.quote}."
        ),
        f"Why this price and route: {_route(trade.orders, trade.order_count)}",
        (
            f"What it cost: edge {trade.cents.edge} less slippage {trade.cents.slippage} less fees"
            f" {trade.cents.fees} is {trade.cents.net} {trade.quote}; {_share(trade)}."
        ),
        (
            f"Why it ended: {trade.exit_reason.value}: {MEANINGS[trade.exit_reason]} Sold {trade.sold} {coin}"
            f" at {trade.exit_price or 'no price'} on average."
        ),
        (
            f"The account: {_quote(trade.nav_before)} before, {_quote(trade.nav_after)} {trade.quote} after;"
            f" {trade.base_before} {coin} before, {trade.base_after} after."
        ),
        _beside(trade.opened, entry),
    ]


def as_json(trade: dict[str, Any], entry: DeskFile | None) -> dict[str, Any]:
    """Return a trade, and the hour in which it was begun, as the desk told it."""
    if entry is None:
        return {"trade": trade, "entry_hour": None}
    hour = {"path": desk_path(entry.of_hour), "absent": entry.absent, "report": entry.hour_report}
    return {"trade": trade, "entry_hour": hour}


def _entered(trade: TradePlan | TradeRecord) -> str:
    return (
        f"Why we entered: {_sentence(trade.reason)} Signal {trade.signal}, conviction {trade.conviction:g};"
        f" the policy's row {trade.rule} lets it trade in {trade.regime}"
        f" (verdict {trade.verdict or 'unknown'}, tier {trade.tier}), at the close of {trade.opened}"
        f" by {trade.config_hash[:19]}...."
    )


def _route(orders: Sequence[OrderLine], count: int) -> str:
    if not orders:
        return f"{count} orders of a ladder; each rests at its level."
    return " ".join(_order(order) for order in orders)


def _order(order: OrderLine) -> str:
    stop = "" if order.stop_price is None else f" (stop {order.stop_price})"
    why = f": {order.why}" if order.why else ""
    return (
        f"{order.side.value.capitalize()} {order.size} {order.kind.value} at {order.price}{stop}{why};"
        f" {order.outcome}, {order.filled} filled in {order.fills}."
    )


def _share(trade: TradeRecord) -> str:
    both = trade.maker_notional + trade.taker_notional
    if not both:
        return "nothing was filled"
    return (
        f"{trade.maker_notional / both:.0%} of {_quote(both)} {trade.quote} as maker,"
        f" {trade.maker_fills} maker and {trade.taker_fills} taker executions"
    )


def _beside(opened: str, entry: DeskFile | None) -> str:
    path = desk_path(Hour.parse(opened))
    if entry is None:
        return f"The hour: {path} is not in this repository."
    absent = "".join(f"; {key} was absent: {why}" for key, why in sorted(entry.absent.items()))
    return f"The hour: {path}, {len(entry.markets)} markets took part{absent}."


def _quote(cash: int) -> str:
    return f"{Decimal(cash) / CASH_SCALE:.2f}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
