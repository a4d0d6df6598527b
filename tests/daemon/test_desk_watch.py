"""What is odd about the desk's trading is told: each limit from both sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.conditions import conditions_of
from daemon.desk_tally import LONGEST_H, MOST_TRADES, HourTally, Tally
from daemon.health import health
from store.trade_files import trades_growth
from tests.cycle.house import START, house
from tests.cycle.test_desk import PAPER
from tests.store.samples import FIRST
from tests.store.test_desk_files import hour_of_desk, put
from tests.trading.trades import closed_trade


def quiet(hours: int, triggers: int, begun: int = 0) -> Tally:
    """Return a tally of so many hours, the last of which had all the triggers."""
    last = START.plus(hours - 1)
    empty = tuple(HourTally(START.plus(index), 0, 0) for index in range(hours - 1))
    return Tally((*empty, HourTally(last, triggers, begun)))


def told(app) -> set[str]:
    return {condition.name for condition in conditions_of(app) if condition.name.startswith("desk")}


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(), set()),
        (quiet(72, 24), {"desk_quiet"}),
        (quiet(72, 23), set()),
        (quiet(71, 24), set()),
        (quiet(72, 24, begun=1), set()),
        (quiet(24, 20, begun=8), set()),
        (quiet(24, 20, begun=9), {"desk_busy"}),
        (Tally(won=(True,) * 8 + (False,) * 22), {"desk_losing"}),
        (Tally(won=(True,) * 9 + (False,) * 21), set()),
        (Tally(won=(False,) * 29), set()),
        (Tally(won=(False,) * 21 + (True,) * 9), set()),
    ],
)
async def test_odd_trading_is_told(tmp_path, tally, expected):
    """No trades despite signals, more trades than expected, fewer won than expected; else silence."""
    async with house(tmp_path, **PAPER) as there:
        there.app.board.desk.tally = tally
        assert told(there.app) == expected


async def test_a_tripped_breaker_and_a_desk_that_does_not_get_on_are_told(tmp_path):
    """At /health and to the operator, with the reason."""
    async with house(tmp_path, **PAPER) as there:
        desk = there.app.board.desk
        desk.stopped_by = ("drawdown_breaker: 21 %, limit 20 %",)
        desk.trouble = "trades/2026-01.jsonl: line 3: cut short"
        assert told(there.app) == {"desk_breaker", "desk_behind"}
        page = health(there.app)["checks"]["desk"]
        assert page["status"] == "warn"
        assert "no new trade: drawdown_breaker" in page["output"]
        assert "line 3: cut short" in page["output"]
        desk.stopped_by, desk.trouble = (), None
        assert health(there.app)["checks"]["desk"]["status"] == "pass"
        there.clock.set(there.clock.now() + timedelta(seconds=2400 + 3600))
        assert told(there.app) == set()
        there.clock.set(there.clock.now() + timedelta(seconds=1))
        assert told(there.app) == {"desk_behind"}


async def test_an_adviser_is_not_watched_for_trades(tmp_path):
    """There is nothing that could be odd."""
    async with house(tmp_path) as there:
        there.app.board.desk.tally = quiet(72, 24)
        assert told(there.app) == set()


def test_the_tally_of_a_repository_is_that_of_its_hours_and_trades(tmp_path):
    """Whether it was counted along or read after a restart."""
    report = {"triggers": [{"accepted": True}, {"accepted": False}]}
    first, second = (
        hour_of_desk(FIRST.plus(index), FIRST.plus(index - 1) if index else None, hour_report=report)
        for index in range(2)
    )
    won, lost = closed_trade("t-1", FIRST), closed_trade("t-2", FIRST.plus(1), gain=-5)
    for file in (first, second):
        put(tmp_path, file)
    for path, data in trades_growth(tmp_path, [won, lost]).items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(data)
    counted = Tally().after(first.file, [won]).after(second.file, [lost])
    assert Tally.of_repository(tmp_path) == counted
    assert counted.won == (True, False)
    assert counted.since(1) == (1, 2, 1)
    assert counted.since(24) == (2, 4, 2)
    assert Tally().since(24) == (0, 0, 0)
    assert counted.win_rate(2) == 0.5
    assert counted.win_rate(3) is None
    full = replace(counted, hours=counted.hours[:1] * LONGEST_H, won=(False,) * MOST_TRADES)
    after = full.after(second.file, [won])
    assert (len(after.hours), len(after.won)) == (LONGEST_H, MOST_TRADES)
    assert (after.hours[-1].hour, after.won[-1]) == (FIRST.plus(1), True)
