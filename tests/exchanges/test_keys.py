"""Keys: what is refused before anything is signed, and that no secret ever shows."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from pydantic import SecretStr

from exchanges.kucoin import KucoinExchange
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import (
    EXAMPLE_KEYS,
    OPEN_KEY,
    READING_KEY,
    TRADING_KEY,
    UNKNOWN_WORD_KEY,
    WITHDRAWING_KEY,
    SandboxKey,
)
from exchanges.sandbox.running import running_sandbox
from exchanges.settings import KucoinSettings
from exchanges.signing import Credentials, digest_base64, signed_headers
from market.errors import AnswerMalformed, ClockRefused, ExchangeError, ExchangeRefused
from tests.exchanges.conftest import Listener, connected

ACCOUNTS, KEY_RIGHTS = "/api/v1/accounts", "/api/v1/user/api-key"


@pytest.mark.parametrize("key", [TRADING_KEY, READING_KEY], ids=lambda key: key.name)
async def test_a_key_that_reads_and_cannot_withdraw_is_accepted(sandbox, clock, key):
    """Reading is enough; the right to trade is not used and does no harm here."""
    async with connected(sandbox.url, clock, key=key) as client:
        assert client.has_keys
        await client.check_key()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (WITHDRAWING_KEY, "can withdraw"),
        (OPEN_KEY, "no IP whitelist"),
        (UNKNOWN_WORD_KEY, "unknown permissions: Teleport"),
    ],
    ids=lambda value: getattr(value, "name", "said"),
)
async def test_a_dangerous_key_is_refused_by_name_before_any_other_signed_call(sandbox, clock, key, said):
    """What could lose money stops the program, and account data is never asked with it."""
    async with connected(sandbox.url, clock, key=key) as client:
        with pytest.raises(ExchangeRefused, match=said):
            await client.check_key()
        with pytest.raises(ExchangeRefused, match=said):
            await client.account("ETH-USDT")
    assert ACCOUNTS not in sandbox.server.requests


async def test_a_key_that_cannot_read_and_one_with_an_empty_whitelist_are_refused(market, clock):
    """An empty string is no whitelist, and a key without General is of no use."""
    keys = [SandboxKey("blind", "Spot"), replace(TRADING_KEY, name="blank", ip_whitelist="")]
    async with running_sandbox(market, clock, keys=keys) as sandbox:
        for key, said in zip(keys, ("cannot read", "no IP whitelist"), strict=True):
            async with connected(sandbox.url, clock, key=key) as client:
                with pytest.raises(ExchangeRefused, match=said):
                    await client.check_key()


async def test_the_account_is_of_this_market_only(market, clock):
    """Balances of base and quote, amounts as the exchange wrote them."""
    key = replace(TRADING_KEY, balances=(("USDT", "5000.10"), ("ETH", "0.00000001"), ("BTC", "7")))
    async with (
        running_sandbox(market, clock, keys=[key]) as sandbox,
        connected(sandbox.url, clock, key=key) as client,
    ):
        account = await client.account("ETH-USDT")
    assert account is not None
    assert {b["currency"]: Decimal(b["available"]) for b in account.balances} == {
        "USDT": Decimal("5000.10"),
        "ETH": Decimal("0.00000001"),
    }
    assert account.open_orders == ()


async def test_open_orders_of_the_market_are_told(recorded_data, clock):
    """KuCoin's own example of an open order comes out with its price, size and what is filled."""
    told = json.loads((recorded_data / "kucoin_samples" / "sdk_spot_order.json").read_text())["endpoints"]
    answers = {
        "/api/v1/timestamp": int(clock.now().timestamp()) * 1000,
        "/api/v1/user/api-key": {"apiVersion": 3, "permission": "General", "ipWhitelist": "203.0.113.5"},
        "/api/v1/accounts": [],
        "/api/v1/hf/orders/active": next(
            e["response"]["data"] for e in told if e["path"] == "/api/v1/hf/orders/active"
        ),
        "/api/v2/symbols/BTC-USDT": {
            "symbol": "BTC-USDT",
            "baseCurrency": "BTC",
            "quoteCurrency": "USDT",
            "priceIncrement": "0.1",
            "baseIncrement": "0.00000001",
            "baseMinSize": "0.00001",
            "enableTrading": True,
        },
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"code": "200000", "data": answers[request.url.path]})

    async with connected(
        "http://kucoin.test", clock, key=TRADING_KEY, transport=httpx.MockTransport(answer)
    ) as client:
        account = await client.account("BTC-USDT")
    assert account is not None
    (order,) = account.open_orders
    assert (order["side"], order["price"], order["size"], order["filled"]) == ("buy", "50000", "0.00001", "0")


async def test_without_keys_there_is_no_account_and_nothing_is_signed(client, sandbox):
    """Market data needs no key; a signed call without one is refused at home."""
    assert not client.has_keys
    assert await client.account("ETH-USDT") is None
    with pytest.raises(ExchangeRefused, match="no credentials"):
        await client.check_key()
    assert not sandbox.server.requests


async def test_wrong_credentials_are_refused_by_the_exchange(sandbox, clock):
    """Unknown key, wrong secret, wrong passphrase: each comes back as refused, with KuCoin's code."""
    good = TRADING_KEY.credentials
    wrong = SecretStr("something-else")
    for credentials, code in (
        (replace(good, key=wrong), "400003"),
        (replace(good, secret=wrong), "400004"),
        (replace(good, passphrase=wrong), "400004"),
    ):
        exchange = KucoinExchange(
            "sandbox", KucoinSettings(base_url=sandbox.url), clock, credentials=credentials, sleep=clock.sleep
        )
        with pytest.raises(ExchangeRefused) as raised:
            await exchange.check_key()
        await exchange.aclose()
        assert raised.value.code == code
        assert "key_file, secret_file, passphrase_file and key_version of exchanges.sandbox" in str(
            raised.value
        )


async def test_a_timestamp_that_the_exchange_refuses_is_clock_refused(sandbox, clock):
    """The exchange has the last word about our clock."""
    for endpoint in (ACCOUNTS, KEY_RIGHTS):
        sandbox.script.add(Fault(kind="refused", endpoint=endpoint, status=400, code="400002"))
        async with connected(sandbox.url, clock, key=TRADING_KEY) as client:
            with pytest.raises(ClockRefused):
                await client.account("ETH-USDT")


def test_the_signature_covers_timestamp_method_unencoded_query_and_body():
    """A worked example of KuCoin's rule; the digest was computed with openssl."""
    credentials = Credentials(SecretStr("k"), SecretStr("s"), SecretStr("p"))
    at = datetime(2024, 1, 1, tzinfo=UTC)
    headers = signed_headers(credentials, 3, at, "GET", "/api/v1/x?symbol=A,B")
    assert headers == {
        "KC-API-KEY": "k",
        "KC-API-SIGN": digest_base64("s", "1704067200000GET/api/v1/x?symbol=A,B"),
        "KC-API-TIMESTAMP": "1704067200000",
        "KC-API-PASSPHRASE": digest_base64("s", "p"),
        "KC-API-KEY-VERSION": "3",
    }
    assert digest_base64("s", "p") == "nZc3O87VGIPvYNSPmW35SX4vkKnmgNJz6Qzo/1qI2vI="


def secrets_of(key: SandboxKey) -> list[str]:
    held = key.credentials
    return [part.get_secret_value() for part in (held.key, held.secret, held.passphrase)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="partial_json", endpoint="/api/v1/user/api-key"),
        Fault(kind="refused", endpoint="/api/v1/user/api-key", status=401, code="400005"),
        Fault(kind="server_error", endpoint="/api/v1/user/api-key"),
        Fault(kind="disconnect", endpoint="/api/v1/user/api-key"),
        Fault(kind="hang", endpoint="/api/v1/user/api-key"),
    ],
    ids=lambda fault: fault.kind,
)
async def test_no_failure_of_a_signed_call_shows_a_secret(sandbox, clock, fault, caplog):
    """Not in the message, not in the chain of causes, not in a log line, not in a repr."""
    caplog.set_level(logging.DEBUG)
    sandbox.script.add(fault)
    async with connected(
        sandbox.url, clock, key=TRADING_KEY, http={"deadline_s": 0.1}, resilience={"tries": 1}
    ) as client:
        with pytest.raises(ExchangeError) as raised:
            await client.check_key()
        shown = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(client)
        shown += repr(TRADING_KEY.credentials) + repr(vars(client))
    for secret in secrets_of(TRADING_KEY):
        assert secret not in shown


async def test_a_malformed_answer_that_echoes_the_key_is_masked(clock):
    """The first characters of a bad answer go into the log; the key in them does not."""
    key = TRADING_KEY.credentials.key.get_secret_value()

    def echo(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/timestamp":
            return httpx.Response(200, json={"code": "200000", "data": int(clock.now().timestamp() * 1000)})
        return httpx.Response(200, json={"code": "200000", "data": {"apiKey": key, "permission": 5}})

    async with connected(
        "http://kucoin.test", clock, key=TRADING_KEY, transport=httpx.MockTransport(echo)
    ) as client:
        with pytest.raises(AnswerMalformed) as raised:
            await client.check_key()
    assert key not in str(raised.value)
    assert "***" in str(raised.value)


async def test_hooks_never_hear_a_secret(sandbox, clock):
    """Metric labels are endpoints and states, whatever was signed."""
    listener = Listener()
    async with connected(sandbox.url, clock, key=TRADING_KEY, listener=listener) as client:
        await client.account("ETH-USDT")
    assert not any(secret in repr(listener) for key in EXAMPLE_KEYS for secret in secrets_of(key))
