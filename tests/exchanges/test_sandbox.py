"""The sandbox itself: its faults, its quota, its signature check and its control by HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import orjson
import pytest

from exchanges.sandbox.book import CandleBook
from exchanges.sandbox.faults import Fault, Script
from exchanges.sandbox.keys import TRADING_KEY
from exchanges.sandbox.running import RunningSandbox, running_sandbox
from exchanges.signing import signed_headers
from tests.exchanges.conftest import HOUR, NOW

CANDLES = "/api/v1/market/candles"


@pytest.fixture
async def http(sandbox: RunningSandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.url, timeout=5) as client:
        yield client


def asked(start: int, end: int, kind: str = "1min", symbol: str = "ETH-USDT") -> dict[str, str]:
    return {"symbol": symbol, "type": kind, "startAt": str(start), "endAt": str(end)}


async def rows(http: httpx.AsyncClient, start: int, end: int, kind: str = "1min") -> list[list[str]]:
    answer = (await http.get(CANDLES, params=asked(start, end, kind))).json()
    assert answer["code"] == "200000"
    return answer["data"]


async def test_candles_have_kucoin_s_shape(http):
    """Seven strings a row, newest first, the forming candle included, 1500 rows at most."""
    now = int(NOW.timestamp())
    told = await rows(http, now - 200_000, now)
    assert len(told) == 1500
    assert all(len(row) == 7 and all(isinstance(cell, str) for cell in row) for row in told)
    times = [int(row[0]) for row in told]
    assert times == sorted(times, reverse=True)
    assert times[0] == now - now % 60
    _, first, last, high, low, volume, turnover = map(float, told[1])
    assert low <= min(first, last) <= max(first, last) <= high
    assert turnover == pytest.approx(volume * (first + last + high + low) / 4)


async def test_absent_bounds_give_an_empty_list_as_they_once_did(http):
    """The old trap of KuCoin: without startAt and endAt there is nothing."""
    answer = (await http.get(CANDLES, params={"symbol": "ETH-USDT", "type": "1min"})).json()
    assert answer == {"code": "200000", "data": []}


async def test_absurd_bounds_are_answered(http, sandbox):
    """Bounds beyond every calendar give rows or none, never a server error, with and without faults."""
    for _ in range(2):
        assert await rows(http, 10**30, 10**30) == []
        assert len(await rows(http, -(10**30), 10**30)) == 1500
        sandbox.script.add(Fault(kind="no_trade", rows_from=0, rows_to=60))


async def test_the_forming_candle_grows_into_the_closed_one(http, clock):
    """Its open stays, its volume only grows, its extremes only widen, and it ends as the closed candle."""
    start = HOUR.close_ts
    seen = []
    for second in (60, 600, 615, 1800, 3599, 3600):
        clock.set(HOUR.closes_at + timedelta(seconds=second))
        seen.append((await rows(http, start, start, "1hour"))[0])
    volumes = [float(row[5]) for row in seen]
    assert volumes == sorted(volumes)
    assert len({row[1] for row in seen}) == 1
    highs, lows = [float(row[3]) for row in seen], [float(row[4]) for row in seen]
    assert highs == sorted(highs)
    assert lows == sorted(lows, reverse=True)
    clock.set(HOUR.closes_at + timedelta(hours=5))
    assert (await rows(http, start, start, "1hour"))[0] == seen[-1]


async def test_every_answer_says_that_it_is_simulated(http):
    """Nobody can take the sandbox for the exchange."""
    for path in ("/api/v1/timestamp", "/api/v1/nowhere", "/sandbox"):
        assert (await http.get(path)).headers["X-Regimed-Sandbox"] == "simulated"
    assert "not KuCoin" in (await http.get("/sandbox")).json()["note"]


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/api/v1/nowhere", {}, 404, "404000"),
        ("/api/v2/symbols/NOPE-USDT", {}, 400, "900001"),
        (CANDLES, {"symbol": "NOPE-USDT", "type": "1min"}, 400, "400100"),
        (CANDLES, {"symbol": "ETH-USDT", "type": "7min"}, 400, "400100"),
        (CANDLES, {"symbol": "ETH-USDT", "type": "1min", "startAt": "1.5"}, 400, "400100"),
        ("/api/v1/accounts", {}, 400, "400001"),
    ],
)
async def test_wrong_requests_get_kucoin_s_error_envelope(http, path, params, status, code):
    """Code and message, no data."""
    answer = await http.get(path, params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "msg"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "200000"),
        ({"KC-API-TIMESTAMP": str(int(NOW.timestamp() * 1000) - 5001)}, "400002"),
        ({"KC-API-TIMESTAMP": "yesterday"}, "400002"),
        ({"KC-API-KEY": "nobody"}, "400003"),
        ({"KC-API-PASSPHRASE": "plain"}, "400004"),
        ({"KC-API-SIGN": "AAAA"}, "400005"),
        ({"KC-API-KEY-VERSION": "1"}, "400009"),
        ({"KC-API-SIGN": ""}, "400001"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
async def test_a_signature_is_checked_in_every_part(http, change, code, version):
    """Timestamp, key, passphrase, signature and version each have their own code."""
    path = "/api/v1/accounts?type=trade"
    headers = signed_headers(TRADING_KEY.credentials, version, NOW, "GET", path)
    answer = (await http.get(path, headers={**headers, **change})).json()
    assert answer["code"] == code


async def test_a_caller_outside_the_whitelist_is_refused(market, clock):
    """The address counts, and the message tells which one it was."""
    key = replace(TRADING_KEY, ip_whitelist="203.0.113.5")
    async with (
        running_sandbox(market, clock, keys=[key]) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url) as http,
    ):
        headers = signed_headers(key.credentials, 3, NOW, "GET", "/api/v1/accounts")
        answer = await http.get("/api/v1/accounts", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "400006"
    assert "127.0.0.1" in answer.json()["msg"]


async def test_the_quota_is_told_and_enforced(market, clock):
    """Weights add up within the window, then 429 with the headers, then the window is over."""
    async with (
        running_sandbox(market, clock, quota=7) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url) as http,
    ):
        first, second, third = [await http.get("/api/v1/timestamp") for _ in range(3)]
        assert [r.headers["gw-ratelimit-remaining"] for r in (first, second, third)] == ["4", "1", "0"]
        assert (second.status_code, third.status_code) == (200, 429)
        assert third.json()["code"] == "429000"
        clock.advance(int(third.headers["gw-ratelimit-reset"]) / 1000 + 0.01)
        assert (await http.get("/api/v1/timestamp")).status_code == 200


async def test_faults_are_set_listed_and_cleared_over_http(http, sandbox):
    """The command line scripts a running sandbox."""
    fault = {"kind": "gap", "rows_from": HOUR.open_ts, "rows_to": HOUR.open_ts + 120}
    made = await http.post("/sandbox/faults", json=fault)
    assert (made.status_code, made.json()) == (201, fault)
    assert (await http.get("/sandbox/faults")).json() == [fault]
    assert len(await rows(http, HOUR.open_ts, HOUR.close_ts - 1)) == 58
    assert (await http.delete("/sandbox/faults")).status_code == 204
    assert len(await rows(http, HOUR.open_ts, HOUR.close_ts - 1)) == 60
    assert sandbox.script.faults == ()


@pytest.mark.parametrize("wrong", [{"kind": "earthquake"}, {"kind": "gap", "colour": "red"}, {}])
async def test_a_fault_that_does_not_exist_is_refused(http, sandbox, wrong):
    """A typo in a script must not pass for good weather."""
    answer = await http.post("/sandbox/faults", json=wrong)
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert sandbox.script.faults == ()


def test_a_fault_strikes_within_its_scope_only():
    """Endpoint, symbol, span of time, requests let through first and number of hits all narrow it."""
    script = Script([Fault(kind="html", endpoint="/a", symbol="S", from_ts=100, to_ts=200, after=1, count=2)])
    outside = [
        ("/b", "S", 150.0),
        ("/a", "T", 150.0),
        ("/a", None, 150.0),
        ("/a", "S", 99.9),
        ("/a", "S", 200.0),
    ]
    assert not any(script.striking(*request) for request in outside)
    assert [bool(script.striking("/a/x", "S", 150.0)) for _ in range(4)] == [False, True, True, False]
    assert script.faults == ()


async def test_no_trade_minutes_are_absent_from_every_timeframe(http, sandbox):
    """What did not trade in minutes did not trade in the hour either."""
    start = HOUR.open_ts
    sandbox.script.add(Fault(kind="no_trade", rows_from=start, rows_to=start + 1800))
    minutes = await rows(http, start, HOUR.close_ts - 1)
    (hour,) = await rows(http, start, start, "1hour")
    assert len(minutes) == 30
    assert float(hour[5]) == pytest.approx(sum(float(row[5]) for row in minutes))
    assert hour[1] == minutes[-1][1]


async def test_a_revision_takes_effect_at_its_age(http, sandbox, clock):
    """Before it nothing shows, afterwards the minute and its hour have changed alike."""
    start = HOUR.open_ts
    before = await rows(http, start, start)
    sandbox.script.add(
        Fault(kind="revision", rows_from=start, rows_to=start + 60, after_s=5400, volume_factor=3)
    )
    assert await rows(http, start, start) == before
    clock.set(HOUR.opens_at + timedelta(seconds=5400))
    after = await rows(http, start, start)
    assert float(after[0][5]) == pytest.approx(3 * float(before[0][5]))
    (hour,) = await rows(http, start, start, "1hour")
    minutes = await rows(http, start, HOUR.close_ts - 1)
    assert float(hour[5]) == pytest.approx(sum(float(row[5]) for row in minutes))


async def test_the_same_script_gives_the_same_trouble(market, clock):
    """Two runs of one script end in the same bytes."""
    faults = [
        Fault(kind="gap", rows_from=HOUR.open_ts, rows_to=HOUR.open_ts + 300),
        Fault(kind="wrong_order"),
    ]
    bodies = []
    for _ in range(2):
        async with (
            running_sandbox(market, clock, faults=faults) as sandbox,
            httpx.AsyncClient(base_url=sandbox.url) as http,
        ):
            bodies.append((await http.get(CANDLES, params=asked(HOUR.open_ts, HOUR.close_ts))).content)
    assert bodies[0] == bodies[1]
    assert orjson.loads(bodies[0])["data"][0][0] == str(HOUR.open_ts + 300)


async def test_a_slow_answer_comes_after_all(http, sandbox):
    """A hang with an end is a slow server, not a dead one."""
    sandbox.script.add(Fault(kind="hang", seconds=0.02))
    assert (await http.get("/api/v1/timestamp")).json()["code"] == "200000"


async def test_stopping_ends_a_hanging_answer_at_once(market, clock):
    """A scripted hang of an hour does not hold up the end of a demo."""
    started = time.perf_counter()
    async with (
        running_sandbox(market, clock, faults=[Fault(kind="hang")]) as sandbox,
        httpx.AsyncClient(base_url=sandbox.url) as http,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await http.get("/api/v1/timestamp", timeout=0.05)
    assert time.perf_counter() - started < 2


def test_a_usual_answer_costs_about_a_millisecond(market):
    """245 minutes, as each hourly collection asks for, on average over a day of hours."""
    book, end = CandleBook(market), HOUR.close_ts
    book.rows("ETH-USDT", 60, end - 90_000, end, end + 3.0)
    started = time.perf_counter()
    for hour in range(24):
        close = end - hour * 3600
        assert len(book.rows("ETH-USDT", 60, close - 14_460, close, close + 3.0)) == 242
    assert (time.perf_counter() - started) / 24 < 0.01
