"""What the sandbox's endpoints tell: the data of an envelope, by request and instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from exchanges.columns import decimal_text
from exchanges.sandbox.book import CandleBook
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import Refusal, SandboxKey
from exchanges.sandbox.trouble import misshapen
from market.ports import SymbolRules
from market.units import decimals, plain

CANDLE_SECONDS = {
    "1min": 60,
    "3min": 180,
    "5min": 300,
    "15min": 900,
    "30min": 1800,
    "1hour": 3600,
    "2hour": 7200,
    "4hour": 14_400,
    "6hour": 21_600,
    "8hour": 28_800,
    "12hour": 43_200,
    "1day": 86_400,
}
_FARTHEST_TS = 10**11
_EDITS = frozenset({"gap", "no_trade", "revision"})


@dataclass(frozen=True, slots=True)
class Visit:
    """One request with everything that its answer depends on.

    Attributes:
        now: The exchange's instant, skew included.
        key: Who signed it, on private endpoints.
    """

    query: dict[str, str]
    path_value: str
    now: datetime
    faults: Sequence[Fault]
    key: SandboxKey | None = None

    @property
    def now_ts(self) -> float:
        return self.now.timestamp()

    @property
    def now_ms(self) -> int:
        return int(self.now_ts * 1000)


class Refused(Exception):
    """Raised when a request gets an error envelope."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


class MarketAnswers:
    """Answers about the market; none of them needs a key."""

    def __init__(self, book: CandleBook, rules: Mapping[str, SymbolRules]) -> None:
        self._book, self._rules = book, rules

    def asked_symbol(self, visit: Visit) -> SymbolRules:
        rules = self._rules.get(visit.query.get("symbol", ""))
        if rules is None:
            raise Refused(Refusal(400, "400100", "This pair is not provided at present"))
        return rules

    def candles(self, visit: Visit) -> bytes:
        symbol = self.asked_symbol(visit).symbol
        seconds = CANDLE_SECONDS.get(visit.query.get("type", ""))
        if seconds is None:
            raise Refused(Refusal(400, "400100", "Incorrect candlestick type"))
        try:
            start_at, end_at = (
                min(int(visit.query.get(name, "0")), _FARTHEST_TS) for name in ("startAt", "endAt")
            )
        except ValueError:
            raise Refused(Refusal(400, "400100", "startAt and endAt are integers")) from None
        if end_at <= 0:  # KuCoin's old trap: absent bounds are read as 0
            return b"[]"
        edits = [fault for fault in visit.faults if fault.kind in _EDITS]
        rows = self._book.rows(symbol, seconds, start_at, end_at, visit.now_ts, edits)
        return b"[" + b",".join(misshapen(rows, visit.faults, start_at, seconds)) + b"]"

    def _quoted(self, rules: SymbolRules, now_ts: float) -> tuple[float, float, float] | None:
        last = self._book.last_price(rules.symbol, now_ts)
        if last is None:
            return None
        step, places = float(rules.price_increment), decimals(rules.price_increment)
        return last, round(last - step, places), round(last + step, places)

    def ticker(self, visit: Visit) -> Any:
        rules = self.asked_symbol(visit)
        quoted = self._quoted(rules, visit.now_ts)
        if quoted is None:
            return None
        last, bid, ask = (decimal_text(price) for price in quoted)
        size = plain(rules.base_min_size * 100)
        return {
            "time": visit.now_ms,
            "sequence": str(visit.now_ms),
            "price": last,
            "size": size,
            "bestBid": bid,
            "bestBidSize": size,
            "bestAsk": ask,
            "bestAskSize": size,
        }

    def order_book(self, visit: Visit) -> Any:
        rules = self.asked_symbol(visit)
        quoted = self._quoted(rules, visit.now_ts)
        step, places = float(rules.price_increment), decimals(rules.price_increment)
        size = plain(rules.base_min_size * 100)

        def side(best: float, away: float) -> list[list[str]]:
            return [[decimal_text(round(best + n * away, places)), size] for n in range(20)]

        return {
            "time": visit.now_ms,
            "sequence": str(visit.now_ms),
            "bids": side(quoted[1], -step) if quoted else [],
            "asks": side(quoted[2], step) if quoted else [],
        }

    def all_tickers(self, visit: Visit) -> Any:
        return {"time": visit.now_ms, "ticker": [self.day(visit, r) for r in self._rules.values()]}

    def stats(self, visit: Visit) -> Any:
        return self.day(visit, self.asked_symbol(visit))

    def day(self, visit: Visit, rules: SymbolRules) -> Any:
        day, quoted = self._book.day(rules.symbol, visit.now_ts), self._quoted(rules, visit.now_ts)
        if not len(day) or quoted is None:
            return {"time": visit.now_ms, "symbol": rules.symbol, "symbolName": rules.symbol}
        last, bid, ask = quoted
        opened, mean = float(day.open[0]), float((day.high[0] + day.low[0]) / 2)
        return {
            "time": visit.now_ms,
            "symbol": rules.symbol,
            "symbolName": rules.symbol,
            "buy": decimal_text(bid),
            "sell": decimal_text(ask),
            "changeRate": decimal_text(round(last / opened - 1, 4)),
            "changePrice": decimal_text(round(last - opened, decimals(rules.price_increment))),
            "high": decimal_text(float(day.high[0])),
            "low": decimal_text(float(day.low[0])),
            "vol": decimal_text(float(day.volume[0])),
            "volValue": decimal_text(round(float(day.volume[0]) * mean, 6)),
            "last": decimal_text(last),
            "averagePrice": decimal_text(round(mean, decimals(rules.price_increment))),
            "takerFeeRate": "0.001",
            "makerFeeRate": "0.001",
            "takerCoefficient": "1",
            "makerCoefficient": "1",
        }

    def symbols(self, _: Visit | None = None) -> list[dict[str, Any]]:
        return [_symbol_json(rules) for rules in self._rules.values()]

    def symbol(self, visit: Visit) -> Any:
        if visit.path_value not in self._rules:
            raise Refused(Refusal(400, "900001", "The symbol not exists"))
        return _symbol_json(self._rules[visit.path_value])

    def currencies(self, _: Visit) -> Any:
        coins = sorted({coin for rules in self._rules.values() for coin in (rules.base, rules.quote)})
        return [
            {
                "currency": coin,
                "name": coin,
                "fullName": coin,
                "precision": 8,
                "confirms": None,
                "contractAddress": None,
                "isMarginEnabled": False,
                "isDebitEnabled": False,
                "chains": None,
            }
            for coin in coins
        ]


def api_key(visit: Visit) -> Any:
    assert visit.key is not None
    told = {
        "remark": visit.key.name,
        "apiKey": visit.key.credentials.key.get_secret_value(),
        "apiVersion": 3,
        "permission": visit.key.permission,
        "createdAt": 1_728_443_843_000,
        "uid": 1,
        "isMaster": True,
    }
    if visit.key.ip_whitelist is not None:
        told["ipWhitelist"] = visit.key.ip_whitelist
    return told


def accounts(visit: Visit) -> Any:
    assert visit.key is not None
    kind, currency = visit.query.get("type"), visit.query.get("currency")
    if kind not in {None, "trade"}:
        return []
    return [
        {
            "id": f"sandbox-{visit.key.name}-{coin}",
            "currency": coin,
            "type": "trade",
            "balance": amount,
            "available": amount,
            "holds": "0",
        }
        for coin, amount in visit.key.balances
        if currency in {None, coin}
    ]


def orders_page(_: Visit) -> Any:
    return {"currentPage": 1, "pageSize": 50, "totalNum": 0, "totalPage": 0, "items": []}


def _symbol_json(rules: SymbolRules) -> dict[str, Any]:
    return {
        "symbol": rules.symbol,
        "name": rules.symbol,
        "baseCurrency": rules.base,
        "quoteCurrency": rules.quote,
        "feeCurrency": rules.quote,
        "market": "USDS",
        "baseMinSize": plain(rules.base_min_size),
        "quoteMinSize": "0.1",
        "baseMaxSize": "10000000000",
        "quoteMaxSize": "99999999",
        "baseIncrement": plain(rules.base_increment),
        "quoteIncrement": "0.000001",
        "priceIncrement": plain(rules.price_increment),
        "priceLimitRate": "0.1",
        "minFunds": plain(rules.min_funds),
        "isMarginEnabled": False,
        "enableTrading": rules.trading,
        "feeCategory": 1,
        "makerFeeCoefficient": "1.00",
        "takerFeeCoefficient": "1.00",
        "st": False,
        "callauctionIsEnabled": False,
        "callauctionPriceFloor": None,
        "callauctionPriceCeiling": None,
        "callauctionFirstStageStartTime": None,
        "callauctionSecondStageStartTime": None,
        "callauctionThirdStageStartTime": None,
        "tradingStartTime": None,
    }
