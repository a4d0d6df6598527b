"""One closed hour, from the exchange into a snapshot."""

from __future__ import annotations

from datetime import timedelta

import pytest

from exchanges.collection import collect_bars, collect_snapshot
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import TRADING_KEY
from market import failpoints
from market.errors import AnswerMalformed, CircuitOpen, ExchangeUnavailable
from market.hours import Timeframe
from market.snapshot import validate_snapshot
from tests.exchanges.conftest import HOUR, connected

CANDLES = "/api/v1/market/candles"


def minute(number: int) -> int:
    return HOUR.open_ts + 60 * number


async def collect(client, clock, symbol="ETH-USDT", *, with_account=False):
    answer = await collect_snapshot(
        client,
        key=symbol,
        symbol=symbol,
        hour=HOUR,
        clock=clock,
        source="live",
        with_account=with_account,
    )
    assert validate_snapshot(answer.snapshot).ok
    return answer.snapshot


async def test_an_hour_is_whole_a_few_seconds_after_its_close(client, clock):
    """Sixty minutes, ticker and summary, nothing missing, in one go."""
    snapshot = await collect(client, clock)
    assert snapshot.is_complete
    assert (snapshot.no_trade, snapshot.account) == ((), None)
    assert snapshot.price_scale == 100
    assert snapshot.summary is not None
    assert snapshot.summary.ticker_at == clock.now()
    assert snapshot.collected_at == clock.now()


async def test_the_minutes_are_the_exchange_s_hour(client, clock):
    """The hour's own bar is exactly what its sixty minutes make."""
    summary = (await collect(client, clock, "SOL-USDT")).summary
    (bar,) = await client.candles("SOL-USDT", Timeframe.H1, HOUR.open_ts, HOUR.close_ts)
    assert summary is not None
    assert (summary.open, summary.high, summary.low, summary.close) == tuple(
        int(price * 1000) for price in (bar.open, bar.high, bar.low, bar.close)
    )


async def test_the_lead_of_an_answer_is_a_second_look_at_the_hour_before(client, clock):
    """The same request tells the hour before once more, minute for minute as its own request would."""
    answer = await collect_snapshot(
        client, key="ETH-USDT", symbol="ETH-USDT", hour=HOUR, clock=clock, source="live", with_account=False
    )
    own = await collect_snapshot(
        client, key="ETH-USDT", symbol="ETH-USDT", hour=HOUR.plus(-1), clock=clock, source="live",
        with_account=False,
    )  # fmt: skip
    assert answer.before is not None
    assert answer.before.hour == HOUR.plus(-1)
    assert answer.before.minutes == own.snapshot.minutes


async def test_no_trade_is_proven_and_missing_is_not_guessed(sandbox, client, clock):
    """A hole between candles is no trade; a hole at the open end of the answer is missing until proven."""
    sandbox.script.add(Fault(kind="no_trade", rows_from=minute(0), rows_to=minute(3)))
    sandbox.script.add(Fault(kind="no_trade", rows_from=minute(58), rows_to=minute(60)))
    snapshot = await collect(client, clock)
    assert snapshot.no_trade == (0, 1, 2)
    assert snapshot.missing == (58, 59)
    assert snapshot.minutes.close[1] == snapshot.minutes.open[0]

    clock.set(HOUR.closes_at + timedelta(minutes=5))
    later = await collect(client, clock)
    assert later.no_trade == (0, 1, 2, 58, 59)
    assert later.is_complete


async def test_an_hour_without_a_single_trade_is_known_to_be_one(sandbox, client, clock):
    """With candles on both sides sixty empty minutes are a fact, not a gap."""
    sandbox.script.add(Fault(kind="no_trade", rows_from=minute(0), rows_to=minute(60)))
    clock.set(HOUR.closes_at + timedelta(minutes=4))
    snapshot = await collect(client, clock)
    assert snapshot.no_trade == tuple(range(60))


async def test_ticker_and_account_belong_to_the_first_five_minutes(sandbox, clock):
    """Later they say nothing about the hour, so they are null and not even asked."""
    async with connected(sandbox.url, clock, key=TRADING_KEY) as client:
        fresh = await collect(client, clock, with_account=True)
        assert fresh.account is not None
        assert {b["currency"] for b in fresh.account.balances} == {"ETH", "USDT"}
        clock.set(HOUR.closes_at + timedelta(minutes=5, seconds=1))
        sandbox.server.requests.clear()
        late = await collect(client, clock, with_account=True)
    assert late.account is None
    assert late.summary is not None
    assert late.summary.last is None
    assert not {"/api/v1/accounts", "/api/v1/market/orderbook/level1"} & set(sandbox.server.requests)


async def test_a_failing_ticker_or_account_does_not_lose_the_hour(sandbox, clock):
    """The minutes are what counts; the rest is null."""
    sandbox.script.add(Fault(kind="server_error", endpoint="/api/v1/market/orderbook/level1"))
    sandbox.script.add(Fault(kind="refused", endpoint="/api/v1/accounts"))
    async with connected(sandbox.url, clock, key=TRADING_KEY) as client:
        snapshot = await collect(client, clock, with_account=True)
    assert snapshot.is_complete
    assert snapshot.account is None
    assert snapshot.summary is not None
    assert snapshot.summary.last is None


async def test_one_malformed_row_costs_its_quarter_of_an_hour_only(sandbox, client, clock):
    """The part that cannot be read is missing by name; nothing in it is taken for no trade."""
    sandbox.script.add(
        Fault(kind="malformed_row", endpoint=CANDLES, rows_from=minute(20), rows_to=minute(21))
    )
    snapshot = await collect(client, clock)
    assert snapshot.missing == tuple(range(15, 30))
    assert snapshot.no_trade == ()


async def test_rows_that_the_exchange_withholds_at_the_end_are_missing_and_come_later(sandbox, client, clock):
    """A tail that is not published yet is owed, not filled."""
    sandbox.script.add(Fault(kind="gap", rows_from=minute(50), rows_to=minute(60), to_ts=HOUR.close_ts + 240))
    assert (await collect(client, clock)).missing == tuple(range(50, 60))
    clock.set(HOUR.closes_at + timedelta(minutes=5))
    assert (await collect(client, clock)).is_complete


async def test_a_late_revision_shows_in_a_later_collection(sandbox, client, clock):
    """The same hour collected an hour later differs exactly where the exchange changed it."""
    sandbox.script.add(Fault(kind="revision", rows_from=minute(7), rows_to=minute(8), after_s=3600))
    first = await collect(client, clock)
    clock.set(HOUR.closes_at + timedelta(hours=1))
    second = await collect(client, clock)
    changed = [
        i
        for i in range(60)
        if first.minutes.volume[i] * second.volume_scale != second.minutes.volume[i] * first.volume_scale
    ]
    assert changed == [7]
    assert first.minutes.close == second.minutes.close


async def test_an_answer_that_is_bad_throughout_is_the_caller_s_error(sandbox, client, clock):
    """No snapshot of sixty missing minutes is made up from a broken exchange."""
    sandbox.script.add(Fault(kind="malformed_row", endpoint=CANDLES))
    with pytest.raises(AnswerMalformed):
        await collect(client, clock)
    sandbox.script.clear()
    sandbox.script.add(Fault(kind="partial_json", endpoint=CANDLES))
    with pytest.raises(CircuitOpen):
        await collect(client, clock)


async def test_an_exchange_that_is_down_is_the_caller_s_error(sandbox, client, clock):
    """The hour stays owed."""
    sandbox.script.add(Fault(kind="server_error"))
    with pytest.raises(ExchangeUnavailable):
        await collect(client, clock)


async def test_when_the_exchange_s_clock_is_behind_the_last_minute_is_missing(sandbox, clock):
    """Our hour is over, theirs is not: the forming minute is never stored."""
    sandbox.script.add(Fault(kind="clock_skew", seconds=-4.0))
    async with connected(sandbox.url, clock) as client:
        assert (await collect(client, clock)).missing == (59,)


async def test_collection_passes_its_failpoints_in_order(client, clock):
    """A campaign can kill the program before and after the fetch."""
    passed: list[str] = []
    for name in ("collect.before_fetch", "collect.after_fetch"):
        failpoints.arm(name, lambda name=name: passed.append(name))
    try:
        await collect(client, clock)
        bars = await collect_bars(client, "ETH-USDT", Timeframe.H4, HOUR.open_ts - 86_400, HOUR.close_ts)
    finally:
        failpoints.disarm()
    assert len(bars) == 6
    assert passed == ["collect.before_fetch", "collect.after_fetch"] * 2
