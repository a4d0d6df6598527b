"""Our client against the sandbox: the traps that users of KuCoin's candles fell into.

"Row" names the row of the table of pains that a test defends.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.breaker import BreakerState
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import TRADING_KEY
from market.errors import (
    AnswerMalformed,
    CircuitOpen,
    ClockRefused,
    ExchangeUnavailable,
    RateLimited,
    RequestRefused,
)
from market.hours import Timeframe
from tests.exchanges.conftest import HOUR, Listener, connected
from tests.fakes import FakeClock

CANDLES = "/api/v1/market/candles"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON_TS = int(NOON.timestamp())


async def minutes(client, start_ts=NOON_TS - 3600, end_ts=NOON_TS, symbol="ETH-USDT"):
    return list(await client.candles(symbol, Timeframe.M1, start_ts, end_ts))


@pytest.mark.parametrize(("seconds", "newest"), [(-1, "11:58"), (0, "11:59"), (1, "11:59"), (59, "11:59")])
async def test_a_candle_counts_as_closed_exactly_when_the_exchange_passed_its_end(
    client, clock, seconds, newest
):
    """Row 3: one second before the full minute the last candle is forming, on the second it is closed."""
    clock.set(NOON + timedelta(seconds=seconds))
    candles = await minutes(client, NOON_TS - 600, NOON_TS + 600)
    assert datetime.fromtimestamp(candles[-1].ts, UTC).strftime("%H:%M") == newest
    assert [c.ts for c in candles] == list(range(NOON_TS - 600, candles[-1].ts + 60, 60))


@pytest.mark.parametrize(("ahead", "newest"), [(-90, "11:58"), (-4, "11:59"), (4, "11:59"), (90, "12:01")])
async def test_the_exchange_s_clock_decides_not_ours(sandbox, clock, ahead, newest):
    """Row 3 and 9: with clocks apart, closed means closed over there."""
    clock.set(NOON + timedelta(seconds=30))
    sandbox.script.add(Fault(kind="clock_skew", seconds=ahead))
    async with connected(sandbox.url, clock) as client:
        candles = await minutes(client, NOON_TS - 600, NOON_TS + 600)
    assert datetime.fromtimestamp(candles[-1].ts, UTC).strftime("%H:%M") == newest


async def test_the_same_candle_is_never_told_twice_differently_over_time(client, clock):
    """Row 3: a candle that was returned once as closed never changes afterwards."""
    seen = {}
    for second in range(-30, 90, 15):
        clock.set(NOON + timedelta(seconds=second))
        for candle in await minutes(client, NOON_TS - 300, NOON_TS + 300):
            assert seen.setdefault(candle.ts, candle) == candle


async def test_minutes_without_trade_stay_left_out(client):
    """Row 4 and 5: the client never fills; it hands on what the exchange has, in order."""
    candles = await minutes(client, symbol="SOL-USDT")
    opens = [c.ts for c in candles]
    assert len(opens) < 60
    assert opens == sorted(set(opens))


async def test_own_quota_is_waited_out_and_the_breaker_stays_closed(sandbox, client, clock):
    """Row 6: 429000 with quota headers costs the told wait and nothing else."""
    sandbox.script.add(Fault(kind="own_quota", endpoint=CANDLES, count=2, reset_ms=4000))
    started = clock.monotonic()
    assert len(await minutes(client)) == 60
    assert clock.monotonic() - started == pytest.approx(8, abs=0.01)
    assert client.resilience.breaker.state is BreakerState.CLOSED


async def test_an_overloaded_server_is_asked_again_soon(sandbox, client, clock):
    """Row 6: 429000 below our own limits is overload: try again after a second or two."""
    sandbox.script.add(Fault(kind="overload", endpoint=CANDLES, count=1))
    started = clock.monotonic()
    assert len(await minutes(client)) == 60
    assert 1 <= clock.monotonic() - started < 5


async def test_a_hundred_429_on_one_pair_leave_the_other_pairs_alone(sandbox, client):
    """Row 6: a pair that is limited never trips the breaker for the rest."""
    sandbox.script.add(Fault(kind="overload", endpoint=CANDLES, symbol="SOL-USDT"))
    for _ in range(10):
        with pytest.raises(RateLimited):
            await minutes(client, symbol="SOL-USDT")
    assert len(await minutes(client, symbol="ETH-USDT")) == 60


async def test_cloudflare_s_block_is_a_rate_limit(sandbox, clock):
    """Row 6: the page with error 1015 means thirty seconds of silence, not an outage."""
    sandbox.script.add(Fault(kind="cloudflare", endpoint=CANDLES, count=1))
    async with connected(sandbox.url, clock) as client:
        assert len(await minutes(client)) == 60
    assert sum(clock.slept) == pytest.approx(30)


async def test_both_bounds_are_always_sent_as_whole_seconds(clock):
    """Row 7: without bounds, or with a float, KuCoin answers something else than asked."""
    asked: list[httpx.QueryParams] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/timestamp":
            return httpx.Response(200, json={"code": "200000", "data": NOON_TS * 1000})
        asked.append(request.url.params)
        return httpx.Response(200, json={"code": "200000", "data": []})

    async with connected("http://kucoin.test", clock, transport=httpx.MockTransport(answer)) as client:
        assert await minutes(client, NOON_TS - 3600, NOON_TS) == []
    assert [(q["symbol"], q["type"]) for q in asked] == [("ETH-USDT", "1min")]
    assert asked[0]["startAt"] == str(NOON_TS - 3660)
    assert asked[0]["endAt"] == str(NOON_TS)


async def test_an_empty_answer_is_an_answer(sandbox, client):
    """Row 7: `data: []` is legal and means that there is nothing."""
    sandbox.script.add(Fault(kind="empty", endpoint=CANDLES))
    assert await minutes(client) == []


@pytest.mark.parametrize("count", [1498, 1499, 1500, 2996, 4000])
async def test_long_spans_come_in_pages_without_seams(sandbox, client, count):
    """Row 7: more than 1500 rows are paged; every candle is there, each once."""
    start = NOON_TS - count * 60
    candles = await minutes(client, start)
    assert [c.ts for c in candles] == list(range(start, NOON_TS, 60))
    assert list(sandbox.server.requests).count(CANDLES) == -(-count // 1498)


async def test_a_span_without_end_is_refused_before_it_is_asked(sandbox, client):
    """Pagination is bounded."""
    with pytest.raises(RequestRefused, match="at most 600"):
        await minutes(client, NOON_TS - 600 * 1498 * 60 - 60)
    assert CANDLES not in sandbox.server.requests


async def test_the_future_is_not_asked_for(sandbox, client):
    """A span that has not begun costs no request."""
    assert await minutes(client, NOON_TS + 600, NOON_TS + 6000) == []
    assert CANDLES not in sandbox.server.requests


@pytest.mark.parametrize("kind", ["wrong_order", "duplicates"])
async def test_rows_in_another_order_or_told_twice_change_nothing(sandbox, client, kind):
    """Row 7: the result is sorted and unique however the rows arrive."""
    expected = await minutes(client)
    sandbox.script.add(Fault(kind=kind, endpoint=CANDLES))
    assert await minutes(client) == expected


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("conflicting_rows", "told twice, differently"),
        ("row_outside", "outside the asked window"),
        ("malformed_row", "String should match pattern"),
        ("partial_json", "not JSON"),
        ("oversized", "larger than"),
    ],
)
async def test_an_answer_that_contradicts_itself_is_refused(sandbox, clock, kind, said):
    """Row 7: better no candle than a wrong one; the message says what was wrong."""
    sandbox.script.add(Fault(kind=kind, endpoint=CANDLES, size=100_000))
    async with connected(sandbox.url, clock, http={"max_body_bytes": 90_000}) as client:
        with pytest.raises(AnswerMalformed, match=said):
            await minutes(client)


async def test_one_symbol_s_malformed_rows_never_open_the_breaker(sandbox, client):
    """A bad row is about that market; the host is fine."""
    sandbox.script.add(Fault(kind="malformed_row", endpoint=CANDLES, symbol="SOL-USDT"))
    for _ in range(5):
        with pytest.raises(AnswerMalformed):
            await minutes(client, symbol="SOL-USDT")
    assert len(await minutes(client)) == 60


def answering(path: str, data: object) -> httpx.MockTransport:
    """An exchange whose time is noon and which answers one path with `data`."""

    def answer(request: httpx.Request) -> httpx.Response:
        told = data if request.url.path.startswith(path) else NOON_TS * 1000
        return httpx.Response(200, json={"code": "200000", "data": told})

    return httpx.MockTransport(answer)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[str(NOON_TS - 60), "10", "12", "11", "9", "1", "11"]], f"candle {NOON_TS - 60}: high 11 is below"),
        ([[str(NOON_TS - 90), "10", "11", "12", "9", "1", "11"]], "not the start of a 1m candle"),
        ([[str(NOON_TS - 60), "10", "11", "12", "9", "1", "11"]] * 1501, "1501 rows, at most 1500"),
        ([[NOON_TS - 60, 10.0, 11.0, 12.0, 9.0, 1.0, 11.0]], "valid string"),
    ],
)
async def test_rows_that_cannot_be_are_refused_with_the_start_of_the_answer(clock, rows, said):
    """Each refusal says what was wrong and shows what was told."""
    async with connected("http://kucoin.test", clock, transport=answering(CANDLES, rows)) as client:
        with pytest.raises(AnswerMalformed, match=said) as raised:
            await minutes(client)
    assert '{"code":"200000"' in str(raised.value)


async def test_rules_of_another_symbol_are_not_taken(sandbox, clock):
    """An answer about BTC-USDT is no answer about ETH-USDT."""
    async with httpx.AsyncClient(base_url=sandbox.url) as http:
        other = (await http.get("/api/v2/symbols/BTC-USDT")).json()["data"]
    async with connected("http://kucoin.test", clock, transport=answering("/api/v2", other)) as client:
        with pytest.raises(AnswerMalformed, match="BTC-USDT"):
            await client.rules("ETH-USDT")


async def test_a_market_without_a_ticker_is_refused_not_guessed(clock):
    """KuCoin answers null for a pair that does not trade."""
    async with connected("http://kucoin.test", clock, transport=answering("/api/v1/market", None)) as client:
        with pytest.raises(RequestRefused, match="no ticker"):
            await client.ticker("ETH-USDT")


async def test_server_trouble_opens_the_breaker_and_then_nothing_is_asked(sandbox, clock):
    """Three calls that fail after their retries; the fourth makes no request; half an hour later one does."""
    listener = Listener()
    async with connected(sandbox.url, clock, listener=listener) as client:
        await client.clock_offset()
        sandbox.script.add(Fault(kind="server_error", endpoint=CANDLES))
        for _ in range(3):
            with pytest.raises(ExchangeUnavailable):
                await minutes(client)
        assert listener.requests.count((CANDLES, "503")) == 9
        before = len(sandbox.server.requests)
        with pytest.raises(CircuitOpen):
            await minutes(client)
        assert len(sandbox.server.requests) == before
        sandbox.script.clear()
        clock.advance(1800)
        assert len(await minutes(client)) == 60
    assert listener.breaker == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


@pytest.mark.parametrize("kind", ["html", "disconnect", "partial_json"])
async def test_a_passing_fault_is_survived_by_a_retry(sandbox, client, kind):
    """Maintenance page, cut connection, half an answer: the next try gets it."""
    sandbox.script.add(Fault(kind=kind, endpoint=CANDLES, count=1))
    assert len(await minutes(client)) == 60


async def test_a_hanging_server_meets_the_deadline(sandbox, clock):
    """No request waits longer than its deadline, and the failure says so."""
    listener = Listener()
    sandbox.script.add(Fault(kind="hang", endpoint="/api/v1/timestamp"))
    async with connected(
        sandbox.url, clock, listener=listener, http={"deadline_s": 0.05}, resilience={"tries": 2}
    ) as client:
        with pytest.raises(ExchangeUnavailable, match="no whole answer"):
            await client.clock_offset()
    assert listener.requests == [("/api/v1/timestamp", "failed")] * 2


async def test_the_clock_offset_is_measured_with_its_sign(sandbox, client):
    """Row 9: positive when ours runs ahead."""
    assert (await client.clock_offset()).ahead_s == pytest.approx(0, abs=0.002)
    sandbox.script.add(Fault(kind="clock_skew", seconds=-2.5))
    assert (await client.clock_offset()).ahead_s == pytest.approx(2.5, abs=0.002)


@pytest.mark.parametrize("rate", [1.0, 60.0])
async def test_the_round_trip_is_taken_out_of_the_offset(rate):
    """Row 9: a slow answer of an exact clock is no drift, also when the clocks of a demo run fast."""
    clock = FakeClock(NOON, rate=rate)

    def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(1.0)
        stamp = int(clock.now().timestamp() * 1000)
        clock.advance(1.0)
        return httpx.Response(200, json={"code": "200000", "data": stamp})

    async with connected("http://kucoin.test", clock, transport=httpx.MockTransport(slow)) as client:
        offset = await client.clock_offset()
    assert offset.round_trip_s == pytest.approx(2.0 * rate)
    assert offset.ahead_s == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize(("ahead", "refused"), [(4.9, False), (5.1, True), (-5.1, True)])
async def test_signed_calls_are_refused_when_the_clocks_are_too_far_apart(sandbox, clock, ahead, refused):
    """Row 9: above five seconds nothing is signed, and nothing is sent."""
    sandbox.script.add(Fault(kind="clock_skew", seconds=ahead))
    async with connected(sandbox.url, clock, key=TRADING_KEY) as client:
        if not refused:
            await client.check_key()
            return
        with pytest.raises(ClockRefused, match="at most 5 s"):
            await client.check_key()
    assert "/api/v1/user/api-key" not in sandbox.server.requests


async def test_a_jump_of_our_clock_is_noticed_before_the_next_answer(sandbox, client, clock):
    """Row 9: a clock that was set is measured again at once, not after minutes."""
    await minutes(client)
    asked = list(sandbox.server.requests).count("/api/v1/timestamp")
    await minutes(client)
    assert list(sandbox.server.requests).count("/api/v1/timestamp") == asked
    clock.set(clock.now() + timedelta(hours=1))
    assert len(await minutes(client, NOON_TS, NOON_TS + 3600)) == 60
    assert list(sandbox.server.requests).count("/api/v1/timestamp") == asked + 1


async def test_rules_are_asked_once_a_symbol(sandbox, client):
    """Increments do not change within a run."""
    first = await client.rules("ETH-USDT")
    assert await client.rules("ETH-USDT") is first
    assert list(sandbox.server.requests).count("/api/v2/symbols/ETH-USDT") == 1


async def test_an_unknown_symbol_is_a_refused_request(client):
    """A misspelt market stops that market, not the exchange."""
    for ask in (client.rules("NOPE-USDT"), client.ticker("NOPE-USDT"), minutes(client, symbol="NOPE-USDT")):
        with pytest.raises(RequestRefused):
            await ask
    assert client.resilience.breaker.state is BreakerState.CLOSED


async def test_the_ticker_is_of_now(client, clock):
    """Bid below ask, last between the extremes of the minute, stamped by the exchange."""
    ticker = await client.ticker("BTC-USDT")
    assert ticker.best_bid < ticker.last < ticker.best_ask
    assert ticker.at == clock.now()


async def test_hooks_hear_every_request_by_its_endpoint(sandbox, clock):
    """Metrics get one line a request, with a bounded set of names."""
    listener = Listener()
    async with connected(sandbox.url, clock, listener=listener) as client:
        await client.rules("ETH-USDT")
        await client.candles("ETH-USDT", Timeframe.H1, HOUR.open_ts, HOUR.close_ts)
    assert listener.requests == [
        ("/api/v2/symbols/{symbol}", "200"),
        ("/api/v1/timestamp", "200"),
        (CANDLES, "200"),
    ]


SOUND_ROWS = st.integers(-1, 5).map(lambda n: (str(NOON_TS + 60 * n), "10", "11", "12", "9", "1", "10"))
ODD_ROWS = st.tuples(
    st.integers(-6, 14).map(lambda n: str(NOON_TS + 30 * n)),
    *[st.sampled_from(["9", "10", "11", "0", "1e1", "-1", "NaN", ""])] * 6,
)
SOME_ROWS = st.lists(SOUND_ROWS) | st.lists(SOUND_ROWS | ODD_ROWS)


@given(rows=SOME_ROWS, now=st.integers(-120, 400))
def test_whatever_rows_come_the_result_is_sorted_unique_closed_and_within_the_span(rows, now):
    """Row 7: the client hands on a clean column of candles or refuses; there is nothing in between."""
    clock = FakeClock(NOON + timedelta(seconds=now))

    def answer(request: httpx.Request) -> httpx.Response:
        is_time = request.url.path == "/api/v1/timestamp"
        data = int(clock.now().timestamp()) * 1000 if is_time else rows
        return httpx.Response(200, json={"code": "200000", "data": data})

    async def ask() -> None:
        async with connected("http://kucoin.test", clock, transport=httpx.MockTransport(answer)) as client:
            try:
                candles = await minutes(client, NOON_TS, NOON_TS + 300)
            except AnswerMalformed:
                return
        opens = [candle.ts for candle in candles]
        assert opens == sorted(set(opens))
        assert all(NOON_TS <= ts < NOON_TS + 300 and ts + 60 <= NOON_TS + now for ts in opens)
        assert not any(candle.fault() for candle in candles)

    anyio.run(ask)
