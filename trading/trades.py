"""One trade in the books: how it began, its orders, and the line of the trade log when it is over."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Annotated

from pydantic import ConfigDict, Field

from market.errors import DataInvalid
from market.hours import HOUR_S, Hour, instant_iso, instant_of_ts
from market.orders import CASH_SCALE, OrderKind, OrderRequest, OrderSide, OrderTerms
from market.units import from_scaled, plain
from market.values import ValueForm
from regime.precision import score
from trading.attribution import Attribution, Flows, InCents
from trading.reasons import Reason
from trading.values import AccountView, MarketView, Sized, TriggerKind

AVERAGE_PRICE = Context(prec=12, rounding=ROUND_HALF_EVEN)
OPEN = "open"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(gt=0)]


def trade_id(key: str, hour: Hour, signal: str) -> str:
    """Return the name of the trade that a signal of an hour begins: `trade-BTC-USDT-20260202T14-momentum`."""
    return f"trade-{key}-{hour.opens_at:%Y%m%dT%H}-{signal}"


@dataclass(frozen=True, slots=True)
class TradePlan:
    """A trade as it was begun: everything that answers why.

    Attributes:
        id: By `trade_id`.
        signal, kind, reason: Of the trigger.
        rule, tier: Of the proposal.
        regime: Simplified, at the decision.
        verdict: Of the regime engine then; None where it gave none.
        conviction: In [0, 1].
        why_this_size: In words, by risk.
        config_hash: The configuration that decided it.
        opened: The hour that was judged; orders go out at its close.
        quote: Coin of all cash.
        base_scale: Of all base units of the trade.
        nav_before: Cash units.
        risk_at_entry: What is lost at the stop, cash units; None for a grid.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: str
    key: str
    signal: str
    kind: TriggerKind
    reason: str
    rule: str
    regime: str
    verdict: str | None
    conviction: float
    tier: str
    why_this_size: str
    config_hash: str
    opened: str
    quote: str
    base_scale: Positive
    nav_before: int
    risk_at_entry: Positive | None

    @classmethod
    def of(
        cls,
        sized: Sized,
        view: MarketView,
        account: AccountView,
        config_hash: str,
        risk_at_entry: int | None = None,
    ) -> TradePlan:
        """Return the plan of a sized proposal.

        Args:
            risk_at_entry: By `trading.risk.loss_at_stop`; None for a grid.
        """
        trigger = sized.proposal.trigger
        return cls(
            id=trade_id(trigger.key, trigger.hour, trigger.signal),
            key=trigger.key,
            signal=trigger.signal,
            kind=trigger.kind,
            reason=trigger.reason,
            rule=sized.proposal.rule,
            regime=view.regime,
            verdict=None if view.analysis is None else view.analysis.verdict.value,
            conviction=trigger.conviction,
            tier=sized.proposal.tier,
            why_this_size=sized.why_this_size,
            config_hash=config_hash,
            opened=trigger.hour.iso(),
            quote=view.terms.quote,
            base_scale=view.terms.base_scale,
            nav_before=account.nav,
            risk_at_entry=risk_at_entry,
        )


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One order of a trade, prices and amounts as exact decimals.

    Attributes:
        side, kind: `buy` or `sell`; `limit`, `market` or `oco`.
        price, stop_price: Quote; a stop only for an OCO.
        size, filled: Base coin.
        fills: Executions.
        why: Why this price and this route.
        outcome: `open`, then how it ended: a status, or a reason's code.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    client_id: str
    side: OrderSide
    kind: OrderKind
    price: str
    stop_price: str | None
    size: str
    filled: str
    fills: Count
    why: str
    outcome: str

    @classmethod
    def of(cls, request: OrderRequest, terms: OrderTerms, why: str) -> OrderLine:
        """Return the line of an order that was just placed."""
        stop = request.stop_price
        return cls(
            client_id=request.client_id,
            side=request.side,
            kind=request.kind,
            price=decimal_text(request.price, terms.price_scale),
            stop_price=None if stop is None else decimal_text(stop, terms.price_scale),
            size=decimal_text(request.size, terms.base_scale),
            filled="0",
            fills=0,
            why=why,
            outcome=OPEN,
        )

    def with_fill(self, size: int, terms: OrderTerms) -> OrderLine:
        """Return the line after one more execution of `size` base units."""
        filled = Decimal(self.filled) + from_scaled(size, terms.base_scale)
        return replace(self, filled=plain(filled), fills=self.fills + 1)


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """A trade that is over: one line of the trade log.

    Attributes:
        id ... config_hash: As of `TradePlan`.
        opened: The hour that was judged.
        entry_at: Instant of the first execution; None where nothing was ever filled.
        exit_at: When the trade was over.
        exit_reason: Why.
        held_hours: From entry to exit, to a ten-thousandth; 0 without an entry.
        entry_price, exit_price: Average of all buys and of all sales, quote, 12 digits; None without any.
        bought, sold: Base coin.
        base_before, base_after: Coin of the market in the books before the trade and after it.
        edge, slippage, fees, net: Cash units (quote x 10**8); `edge - slippage - fees = net`.
        cents: The same in quote with two decimals, where it holds as well.
        net_exact: `net` in quote, all decimals.
        maker_notional, taker_notional: Cash units.
        maker_fills, taker_fills: Executions.
        order_count: Orders placed.
        orders: Each of them for a swing; none for a grid, which may place thousands.
        nav_before, nav_after: Of the account, cash units.
        risk_at_entry: What would have been lost at the stop, cash units; None for a grid.
        r: Net over that risk, to a millionth; None for a grid.
        cycles: Of a grid, cells that came back to how they started; None for a swing.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: str
    key: str
    signal: str
    kind: TriggerKind
    reason: str
    rule: str
    regime: str
    verdict: str | None
    conviction: float
    tier: str
    why_this_size: str
    config_hash: str
    opened: str
    quote: str
    entry_at: str | None
    exit_at: str
    exit_reason: Reason
    held_hours: float
    entry_price: str | None
    exit_price: str | None
    bought: str
    sold: str
    base_before: str
    base_after: str
    edge: int
    slippage: int
    fees: int
    net: int
    cents: InCents
    net_exact: str
    maker_notional: Count
    taker_notional: Count
    maker_fills: Count
    taker_fills: Count
    order_count: Count
    orders: tuple[OrderLine, ...]
    nav_before: int
    nav_after: int
    risk_at_entry: Positive | None
    r: float | None
    cycles: Count | None

    @property
    def won(self) -> bool:
        """Whether it was left with more cash than it began with."""
        return self.net > 0

    @property
    def attribution(self) -> Attribution:
        return Attribution(self.edge, self.slippage, self.fees)

    def as_line(self) -> bytes:
        """Return the record as one line of canonical JSON: sorted names, no spaces, UTF-8, a newline."""
        text = json.dumps(
            RECORD_FORM.as_record(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        return text.encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes, where: str) -> TradeRecord:
        """Return the record that `as_line` wrote.

        Raises:
            DataInvalid: Names the field that is missing, unknown, of another kind or at odds with the others.
        """
        try:
            content = json.loads(line)
        except ValueError as error:
            raise DataInvalid(where, "", f"not JSON: {error}") from None
        record = RECORD_FORM.of_record(content, where)
        _check(record, where)
        if record.as_line() != line:
            raise DataInvalid(where, "", "not as it is written: sorted names, no spaces, a newline")
        return record


RECORD_FORM = ValueForm(TradeRecord)
_OF_PLAN = tuple(field.name for field in fields(TradePlan) if field.name != "base_scale")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a trade ended.

    Attributes:
        at_ts: Epoch seconds.
        base_before, base_after: Coin of the market in the books, base units.
        cycles: Of a grid; None for a swing.
    """

    reason: Reason
    at_ts: int
    nav_after: int
    base_before: int
    base_after: int
    cycles: int | None


def record_of(
    plan: TradePlan, flows: Flows, orders: tuple[OrderLine, ...], order_count: int, ending: Ending
) -> TradeRecord:
    """Return the line of a trade that is over."""
    attribution = flows.attribution
    scale = plan.base_scale
    held_s = 0 if flows.first_ts is None else ending.at_ts - flows.first_ts
    return TradeRecord(
        **{name: getattr(plan, name) for name in _OF_PLAN},
        entry_at=None if flows.first_ts is None else _instant(flows.first_ts),
        exit_at=_instant(ending.at_ts),
        exit_reason=ending.reason,
        held_hours=round(held_s / HOUR_S, 4),
        entry_price=_average(flows.cash_out, flows.bought, scale),
        exit_price=_average(flows.cash_in, flows.sold, scale),
        bought=decimal_text(flows.bought, scale),
        sold=decimal_text(flows.sold, scale),
        base_before=decimal_text(ending.base_before, scale),
        base_after=decimal_text(ending.base_after, scale),
        edge=attribution.edge,
        slippage=attribution.slippage,
        fees=attribution.fees,
        net=attribution.net,
        cents=attribution.in_cents(),
        net_exact=decimal_text(attribution.net, CASH_SCALE),
        maker_notional=flows.maker_notional,
        taker_notional=flows.taker_notional,
        maker_fills=flows.maker_fills,
        taker_fills=flows.taker_fills,
        order_count=order_count,
        orders=orders,
        nav_after=ending.nav_after,
        r=multiple_of_risk(attribution.net, plan.risk_at_entry),
        cycles=ending.cycles,
    )


def _check(record: TradeRecord, where: str) -> None:
    for field, found, expected in (
        ("net", record.net, record.attribution.net),
        ("cents", record.cents, record.attribution.in_cents()),
        ("net_exact", record.net_exact, decimal_text(record.net, CASH_SCALE)),
        ("r", record.r, multiple_of_risk(record.net, record.risk_at_entry)),
    ):
        if found != expected:
            raise DataInvalid(where, field, f"found {found}, expected {expected} by the other fields")


def multiple_of_risk(net: int, risk: int | None) -> float | None:
    """Return R, the result as a multiple of what was risked, to a millionth."""
    return None if risk is None else score(net / risk)


def decimal_text(scaled: int, scale: int) -> str:
    """Return a scaled integer as an exact decimal, without trailing zeros."""
    return plain(from_scaled(scaled, scale))


def _instant(ts: int) -> str:
    return instant_iso(instant_of_ts(ts))


def _average(cash: int, size: int, base_scale: int) -> str | None:
    if size == 0:
        return None
    return plain(AVERAGE_PRICE.divide(Decimal(cash * base_scale), Decimal(size * CASH_SCALE)))
