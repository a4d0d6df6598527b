"""KuCoin's own client and ccxt, unmodified but for the address, take the sandbox for KuCoin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from anyio import to_thread

from exchanges.sandbox.keys import TRADING_KEY
from exchanges.sandbox.running import RunningSandbox, running_sandbox
from tests.exchanges.conftest import HOUR, NOW


@pytest.fixture
async def open_sandbox(market, clock) -> AsyncIterator[RunningSandbox]:
    """A sandbox that plays another day but takes today's signatures, as these clients make them."""
    async with running_sandbox(market, clock, signing_now=lambda: datetime.now(UTC)) as running:
        yield running


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # its generated code, with newer pydantic
async def test_kucoin_s_own_client_reads_everything_signed(open_sandbox):
    """Candles, symbols, server time and the key's permissions through kucoin-universal-sdk."""
    sdk = pytest.importorskip("kucoin_universal_sdk.api")
    from kucoin_universal_sdk.generate.spot import market as spot
    from kucoin_universal_sdk.model import ClientOptionBuilder, TransportOptionBuilder

    held = TRADING_KEY.credentials
    option = (
        ClientOptionBuilder()
        .set_key(held.key.get_secret_value())
        .set_secret(held.secret.get_secret_value())
        .set_passphrase(held.passphrase.get_secret_value())
        .set_spot_endpoint(open_sandbox.url)
        .set_transport_option(TransportOptionBuilder().build())
        .build()
    )

    def read() -> dict[str, Any]:
        rest = sdk.DefaultClient(option).rest_service()
        market = rest.get_spot_service().get_market_api()
        wanted = (
            spot.GetKlinesReqBuilder()
            .set_symbol("ETH-USDT")
            .set_type("1min")
            .set_start_at(HOUR.open_ts)
            .set_end_at(HOUR.close_ts - 1)
            .build()
        )
        one = spot.GetSymbolReqBuilder().set_symbol("BTC-USDT").build()
        return {
            "candles": market.get_klines(wanted).data,
            "symbols": market.get_all_symbols(spot.GetAllSymbolsReqBuilder().build()).data,
            "symbol": market.get_symbol(one),
            "ticker": market.get_ticker(spot.GetTickerReqBuilder().set_symbol("BTC-USDT").build()),
            "time": market.get_server_time().data,
            "status": market.get_service_status().status,
            "key": rest.get_account_service().get_account_api().get_apikey_info(),
        }

    found = await to_thread.run_sync(read)
    assert len(found["candles"]) == 60
    assert found["candles"][0][0] == str(HOUR.close_ts - 60)
    assert [symbol.symbol for symbol in found["symbols"]] == ["ETH-USDT", "BTC-USDT", "SOL-USDT"]
    assert found["symbol"].price_increment == "0.1"
    assert float(found["ticker"].best_bid) < float(found["ticker"].best_ask)
    assert found["time"] == int(NOW.timestamp() * 1000)
    assert found["status"].value == "open"
    assert (found["key"].permission, found["key"].ip_whitelist) == ("General,Spot", "127.0.0.1")


async def test_ccxt_reads_candles_symbols_and_time_without_a_key(open_sandbox):
    """The library that most bots use finds markets, candles, ticker, book and time."""
    ccxt = pytest.importorskip("ccxt")

    def addressed(value: Any) -> Any:
        return {k: addressed(v) for k, v in value.items()} if isinstance(value, dict) else open_sandbox.url

    def read() -> dict[str, Any]:
        exchange = ccxt.kucoin({"options": {"uta": False, "fetchMarkets": {"types": ["spot"]}}})
        exchange.urls["api"] = addressed(exchange.urls["api"])
        found = {
            "markets": exchange.load_markets(),
            "candles": exchange.fetch_ohlcv("ETH/USDT", "1h", since=(HOUR.open_ts - 7200) * 1000, limit=3),
            "ticker": exchange.fetch_ticker("ETH/USDT"),
            "tickers": exchange.fetch_tickers(),
            "book": exchange.fetch_order_book("SOL/USDT", 20),
            "time": exchange.fetch_time(),
        }
        exchange.session.close()
        return found

    found = await to_thread.run_sync(read)
    assert list(found["markets"]) == ["ETH/USDT", "BTC/USDT", "SOL/USDT"]
    assert found["markets"]["BTC/USDT"]["precision"]["price"] == 0.1
    assert [row[0] // 1000 for row in found["candles"]] == [HOUR.open_ts - 7200 + 3600 * n for n in range(3)]
    for _, first, high, low, last, volume in found["candles"]:
        assert low <= min(first, last) <= max(first, last) <= high
        assert volume > 0
    assert found["ticker"]["bid"] < found["ticker"]["ask"]
    assert set(found["tickers"]) == {"ETH/USDT", "BTC/USDT", "SOL/USDT"}
    assert len(found["book"]["bids"]) == len(found["book"]["asks"]) == 20
    assert found["time"] == int(NOW.timestamp() * 1000)
