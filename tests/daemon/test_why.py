"""`regimed why`: every question about a trade is answered from its record alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.why import told
from market.orders import CASH_SCALE, OrderKind
from store.trade_files import trades_growth
from tests.daemon.calls import called
from tests.store.samples import FIRST
from tests.store.test_desk_files import hour_of_desk, put
from tests.trading.trades import closed_trade
from trading.desk_state import DeskState

WON, LOST = closed_trade("trade-won", FIRST.plus(5)), closed_trade("trade-lost", FIRST.plus(6), gain=-5)


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository with two closed trades and the hour in which the first was begun."""
    for path, data in trades_growth(tmp_path, [WON, LOST]).items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(data)
    state = DeskState.first(10_000 * CASH_SCALE, "USDT").as_value()
    put(tmp_path, hour_of_desk(FIRST.plus(2), FIRST.plus(1), state=state))
    return tmp_path


def test_a_trade_answers_every_question(root):
    """Why we entered, why this size, why this price and route, what it cost, why it ended."""
    done = called("why", "trade-won", "--repo", str(root))
    assert (done.code, done.err) == (0, "")
    head, entered, size, route, cost, ended, account, hour = done.out.splitlines()
    assert head.startswith("trade-won: 0.60 USDT, 0.12 R; ")
    assert "above the highest high" in entered
    assert "lets it trade in TREND_UP" in entered
    assert "0.5 % of 10000.00 at the stop" in size
    assert "Bought 0.1 ETH at 2000 on average" in size
    assert "Buy 0.1 limit at 2000: maker first: the bid; filled, 0.1 filled in 1." in route
    assert "Sell 0.1 oco at 2100 (stop 1900): target and stop in one order" in route
    assert cost == (
        "What it cost: edge 1.00 less slippage 0.00 less fees 0.40 is 0.60 USDT;"
        " 100% of 401.00 USDT as maker, 2 maker and 0 taker executions."
    )
    assert ended == "Why it ended: target: The price reached the target. Sold 0.1 ETH at 2010 on average."
    assert "10000.00 before, 10000.60 USDT after" in account
    assert hour == (
        "The hour: desk/2026-02-02/02.json, 1 markets took part; BTC-USDT was absent: no record after 2400 s."
    )


def test_a_program_gets_the_record_and_the_hour(root):
    """JSON alone on stdout: the line of the trade log, and what the desk said in the hour of the entry."""
    done = called("why", "trade-won", "--repo", str(root), "--format", "json")
    found = json.loads(done.out)
    assert found["trade"] == json.loads(WON.as_line())
    assert found["entry_hour"]["path"] == "desk/2026-02-02/02.json"
    assert found["entry_hour"]["report"] == hour_of_desk().file.hour_report
    done = called("why", "trade-lost", "--repo", str(root), "--format", "json")
    assert json.loads(done.out)["entry_hour"] is None
    assert (
        "desk/2026-02-02/03.json is not in this repository"
        in called("why", "trade-lost", "--repo", str(root)).out
    )


def test_the_last_trades_are_listed_newest_first(root):
    """Without an id."""
    done = called("why", "--repo", str(root))
    assert [line.split()[0] for line in done.out.splitlines()] == ["trade", "trade-lost", "trade-won"]
    found = json.loads(called("why", "--repo", str(root), "--format", "json").out)
    assert [each["id"] for each in found] == ["trade-lost", "trade-won"]


def test_an_unknown_trade_names_the_nearest(root):
    """A finding, in one line."""
    done = called("why", "trade-wom", "--repo", str(root))
    assert (done.code, done.out) == (1, "")
    assert done.err == "regimed: no trade 'trade-wom'; the nearest: trade-won, trade-lost\n"


def test_nothing_closed_and_nothing_there_are_told_apart(tmp_path):
    """No trade yet is an answer; a folder that does not exist is a mistake."""
    done = called("why", "--repo", str(tmp_path))
    assert (done.code, done.out) == (0, f"{tmp_path} has no closed trade yet\n")
    assert json.loads(called("why", "--repo", str(tmp_path), "--format", "json").out) == []
    assert "has none yet" in called("why", "x", "--repo", str(tmp_path)).err
    assert called("why", "--repo", str(tmp_path / "nowhere")).code == 2
    assert called("why", "--repo", str(tmp_path), "--format", "xml").code == 2


def test_a_ladder_and_an_entry_that_was_never_filled_are_told(root):
    """A grid has no list of orders and no R; a trade without a fill has no price."""
    empty = replace(
        WON, orders=(), order_count=40, cycles=7, r=None, risk_at_entry=None, maker_notional=0,
        maker_fills=0, taker_fills=3, entry_at=None, entry_price=None, why_this_size="by the budget."
    )  # fmt: skip
    text = "\n".join(told(empty, None))
    assert "0.60 USDT; never filled to" in text
    assert ", 7 cycles" in text
    assert "40 orders of a ladder; each rests at its level." in text
    assert "nothing was filled" in text
    assert "by the budget. Bought" in text
    assert "at no price on average" in text
    bare = replace(WON.orders[0], why="", kind=OrderKind.MARKET)
    assert "Buy 0.1 market at 2000; filled" in "\n".join(told(replace(WON, orders=(bare,)), None))
