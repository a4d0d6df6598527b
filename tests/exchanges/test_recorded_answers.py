"""Every recorded answer of KuCoin ends as the right value or the right error."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import TypeAdapter

from exchanges.http import Answer
from exchanges.kucoin_errors import unwrapped
from exchanges.kucoin_models import (
    BALANCES,
    CANDLE_ROWS,
    KEY,
    ORDERS,
    SERVER_TIME,
    SYMBOL,
    TICKER,
    SymbolAnswer,
)
from market.errors import (
    ClockRefused,
    ExchangeRefused,
    RateLimited,
    RequestRefused,
)
from market.hours import Timeframe
from tests.exchanges.conftest import NOW, connected
from tests.fakes import FakeClock

EXPECTED_ERRORS = {
    "429000": RateLimited,
    "400001": ExchangeRefused,
    "400002": ClockRefused,
    "400003": ExchangeRefused,
    "400004": ExchangeRefused,
    "400005": ExchangeRefused,
    "400006": ExchangeRefused,
    "400100": RequestRefused,
    "300000": RequestRefused,
    "400760": RequestRefused,
    "200004": RequestRefused,
}

FORMS: dict[str, TypeAdapter[Any]] = {
    "/api/v1/market/candles": CANDLE_ROWS,
    "/api/v1/timestamp": SERVER_TIME,
    "/api/v1/market/orderbook/level1": TICKER,
    "/api/v2/symbols/{symbol}": SYMBOL,
    "/api/v2/symbols": TypeAdapter(list[SymbolAnswer]),
    "/api/v1/user/api-key": KEY,
    "/api/v1/accounts": BALANCES,
    "/api/v1/hf/orders/active": ORDERS,
}


def samples(recorded_data: Path, name: str) -> dict[str, Any]:
    return json.loads((recorded_data / "kucoin_samples" / name).read_text())


def answer_of(body: object, status: int = 200) -> Answer:
    return Answer(status, {}, orjson.dumps(body), NOW, 0.1)


def recorded_bodies(recorded_data: Path) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in ("ccxt_recorded.json", "kucoin_net_fixtures.json"):
        found += [(r["endpoint"].split()[-1], r["body"]) for r in samples(recorded_data, name)["responses"]]
    for name in ("sdk_spot_market", "sdk_spot_order", "sdk_account_account", "sdk_account_fee"):
        found += [(e["path"], e["response"]) for e in samples(recorded_data, f"{name}.json")["endpoints"]]
    return found


def test_every_recorded_error_becomes_the_right_error(recorded_data):
    """The code decides what the caller does next, whatever the HTTP status was (even 200)."""
    errors = samples(recorded_data, "errors_recorded.json")["errors"]
    assert {e["body"]["code"] for e in errors} == set(EXPECTED_ERRORS)
    for recorded in errors:
        code = recorded["body"]["code"]
        with pytest.raises(EXPECTED_ERRORS[code]) as raised:
            unwrapped("kucoin", "GET /x", answer_of(recorded["body"], recorded["http_status"] or 400))
        assert type(raised.value) is EXPECTED_ERRORS[code]
        assert raised.value.code == code


def test_every_recorded_success_passes_the_envelope_and_its_form(recorded_data):
    """What KuCoin really answered is never refused as malformed."""
    seen: set[str] = set()
    bodies = recorded_bodies(recorded_data)
    for path, body in bodies:
        data = unwrapped("kucoin", f"GET {path}", answer_of(body))
        form = FORMS.get(path)
        if form is not None:
            form.validate_python(data)
            seen.add(path)
    assert len(bodies) > 80
    assert seen == set(FORMS)


def test_an_empty_list_of_candles_is_a_legal_answer(recorded_data):
    """Nothing traded is an answer, not an error."""
    for recorded in samples(recorded_data, "errors_recorded.json")["not_errors"]:
        assert CANDLE_ROWS.validate_python(unwrapped("kucoin", "GET /x", answer_of(recorded["body"]))) == []


def test_open_orders_of_the_older_interface_have_the_same_form(recorded_data):
    """Both order interfaces of KuCoin tell an order with the same fields."""
    for path, body in recorded_bodies(recorded_data):
        if path == "/api/v1/orders" and "items" in body["data"]:
            orders = ORDERS.validate_python(body["data"]["items"])
            assert all(order.size > 0 for order in orders)


async def test_recorded_candles_come_out_in_order_with_high_and_low_in_place(recorded_data, clock):
    """A KuCoin row is time, open, CLOSE, HIGH, LOW: read otherwise it would contradict itself."""
    recorded = samples(recorded_data, "ccxt_recorded.json")["responses"][0]["body"]
    rows = recorded["data"]
    server_ms = (int(rows[0][0]) + 3600) * 1000

    def answer(request: httpx.Request) -> httpx.Response:
        is_time = request.url.path == "/api/v1/timestamp"
        return httpx.Response(200, json={"code": "200000", "data": server_ms} if is_time else recorded)

    async with connected("http://kucoin.test", clock, transport=httpx.MockTransport(answer)) as exchange:
        candles = await exchange.candles("BTC-USDT", Timeframe.H1, int(rows[-1][0]), int(rows[0][0]) + 3600)

    assert [c.ts for c in candles] == [1706630400, 1706634000, 1706637600]
    newest = candles[-1]
    assert (newest.open, newest.high, newest.low, newest.close) == tuple(
        map(Decimal, ("43396.4", "43491.9", "43285.2", "43369.4"))
    )
    assert newest.volume == Decimal("135.02905655")
    assert newest.turnover == Decimal("5859577.939581874")


async def test_recorded_account_and_ticker_become_values(recorded_data, clock: FakeClock):
    """Ticker and symbol rules keep every recorded digit."""
    market = {e["path"]: e["response"] for e in samples(recorded_data, "sdk_spot_market.json")["endpoints"]}

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.replace("/BTC-USDT", "/{symbol}")
        return httpx.Response(200, json=market[path])

    async with connected("http://kucoin.test", clock, transport=httpx.MockTransport(answer)) as exchange:
        ticker = await exchange.ticker("BTC-USDT")
        rules = await exchange.rules("BTC-USDT")

    assert (ticker.best_bid, ticker.best_ask, ticker.last) == tuple(
        map(Decimal, ("67267.5", "67267.6", "67269"))
    )
    assert ticker.at.isoformat() == "2024-10-17T13:49:25.609000+00:00"
    assert rules.price_increment == Decimal("0.1")
    assert (rules.base, rules.quote, rules.trading) == ("BTC", "USDT", True)
