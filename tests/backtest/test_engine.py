"""The engine: the desk itself over recorded hours, the same bytes twice, beside what doing nothing brings."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.baselines import Baselines
from backtest.data import RecordedSource
from backtest.engine import BacktestEngine, RememberedAnalysis
from backtest.result import BacktestResult
from decisions.inputs import MarketCosts
from exchanges.simulated.fills import EXPECTED, PESSIMISTIC
from grid.simulation import BarPath
from market.costs import LIQUIDITY_BY_TIER, Fees
from market.errors import ConfigInvalid, DataInvalid
from market.orders import CASH_SCALE
from tests.backtest.candles import START, made_windows, minutes_at, recorded_source
from tests.trading.desks import CASH, RULES, RecordedDays, new_desk, policy_of, run

HOURS = 96
END = START.plus(HOURS)
KEYS = ["BTC-USDT", "ETH-USDT"]
COSTS = MarketCosts(Fees(maker_bps=10, taker_bps=10), LIQUIDITY_BY_TIER["major"])


@pytest.fixture(scope="module")
def source(recorded_data) -> RecordedSource:
    return recorded_source(recorded_data)


@pytest.fixture(scope="module")
def result(source) -> BacktestResult:
    return BacktestEngine(policy_of(KEYS), CASH).run("policy", source, START, END, bracket=True)


def test_a_second_run_gives_the_same_bytes(source, result):
    """Nothing but data, configuration and seed is in a result; the bracket changes nothing in the rest."""
    again = BacktestEngine(policy_of(KEYS), CASH).run("policy", source, START, END)
    value = result.as_value()
    assert again.as_value() == {**value, "bracket": None}
    assert (
        again.as_bytes() == BacktestEngine(policy_of(KEYS), CASH).run("policy", source, START, END).as_bytes()
    )


async def test_the_engine_trades_what_the_desk_trades(recorded_data, result):
    """The backtest is the paper desk: the same trades, the same account, hour by hour."""
    days = RecordedDays.of(recorded_data, KEYS)
    reports = await run(new_desk(policy_of(KEYS), START), days, START, END)
    assert [trade for report in reports for trade in report.trades] == list(result.trades)
    assert len(result.trades) >= 3
    assert [report.account.nav for report in reports] == [
        int(Decimal(each) * CASH_SCALE) for each in result.nav
    ]


def test_the_result_says_what_was_refused_and_what_it_is_of(source, result):
    """Hours, refusals by reason, orders by outcome, three ways of filling."""
    assert len(result.hours) == HOURS and result.hours[0] == START.iso()
    assert "regime_cash_only" in result.refusals or "signal_not_allowed" in result.refusals
    assert result.orders["placed"] >= len(result.trades)
    assert list(result.bracket) == ["pessimistic", "expected", "optimistic"]
    expected = result.bracket["expected"]
    assert expected["trades"] == len(result.trades)
    assert Decimal(expected["net"]) == Decimal(result.nav[-1]) - Decimal(result.capital)
    lone = BacktestEngine(policy_of(KEYS), CASH, PESSIMISTIC).run("policy", source, START, END)
    assert result.bracket["pessimistic"]["trades"] == len(lone.trades)


def test_the_bracket_is_run_by_its_own_fills_whatever_the_runs_are(source, result):
    """A run that gets a millionth of each minute does otherwise; the bracket beside it stays."""
    tiny = EXPECTED.model_copy(update={"participation": 1e-6})
    found = BacktestEngine(policy_of(KEYS), CASH, tiny).run("policy", source, START, END, bracket=True)
    assert found.bracket == result.bracket
    net = Decimal(found.nav[-1]) - Decimal(found.capital)
    assert net != Decimal(found.bracket["expected"]["net"])


def test_a_signal_alone_trades_alone(source):
    """A strategy is one signal under the same policy; names that are none are refused with those that are."""
    engine = BacktestEngine(policy_of(KEYS), CASH)
    found = engine.run("momentum", source, START, START.plus(48))
    assert {trade.signal for trade in found.trades} <= {"momentum"}
    with pytest.raises(ConfigInvalid, match="did you mean 'momentum'"):
        engine.run("momentun", source, START, END)
    with pytest.raises(DataInvalid, match="no hour in between"):
        engine.run("grid", source, END, START)
    unheard = policy_of(KEYS, signals=())
    with pytest.raises(ConfigInvalid, match="in no regime"):
        BacktestEngine(unheard, CASH).run("grid", source, START, END)


def test_another_seed_is_another_run(source, result):
    """The seed of the draws at a touch is part of the result."""
    other = BacktestEngine(policy_of(KEYS), CASH, EXPECTED.model_copy(update={"seed": 7}))
    assert other.run("grid", source, START, START.plus(3)).as_value()["seed"] == 7
    assert result.as_value()["seed"] == 0


def test_an_analysis_is_remembered_by_what_it_is_of(source):
    """The same window is judged once; another one anew."""
    counted = Counting(policy_of(KEYS).judging.engine)
    remembered = RememberedAnalysis(counted)
    (_, first), (_, second) = source.hours(START, START.plus(2))
    windows = [each["ETH-USDT"].inputs.window for each in (first, second)]
    answers = [remembered.analyze(window) for window in (*windows, *windows)]
    assert counted.calls == 2 and answers[:2] == answers[2:] and remembered.config is counted.config


class Counting:
    def __init__(self, engine) -> None:
        self._engine, self.calls, self.config = engine, 0, engine.config

    def analyze(self, window):
        self.calls += 1
        return self._engine.analyze(window)


def baselines_over(closes: list[float]) -> dict[str, list[int]]:
    source = RecordedSource(made_windows(minutes_at(closes)), {"ETH-USDT": RULES["ETH-USDT"]})
    found = Baselines(("ETH-USDT",), CASH, {"ETH-USDT": COSTS}, BarPath.PESSIMISTIC)
    for _, markets in source.hours(START, START.plus(len(closes) // 60)):
        terms = markets["ETH-USDT"].terms()
        found.hour({"ETH-USDT": (terms, markets["ETH-USDT"].minutes(terms))})
    return found.found


def test_holding_is_one_purchase_with_its_costs():
    """10,000 at 2,000, spread, slippage and fee paid once; ten percent up is ten percent on the coin."""
    found = baselines_over([2000.0] * 60 + [2200.0] * 60)
    assert found["cash"] == [CASH, CASH]
    after_costs = 10_000 / (2000 * 1.00015 * 1.001) * 2000
    assert found["hold"][0] / CASH_SCALE == pytest.approx(after_costs, abs=0.25)
    assert found["hold"][1] / CASH_SCALE == pytest.approx(after_costs * 1.1, abs=0.25)


def test_the_always_on_grid_earns_from_a_swing_and_is_set_anew_outside():
    """Up and down inside the bounds earns; a fall out loses half of it, and the grid goes on there."""
    swing = [2000 + 60 * (1 if minute % 20 < 10 else -1) for minute in range(240)]
    quiet = baselines_over([2000.0] * 60 + swing)["always_on_grid"]
    assert quiet[-1] > quiet[0] > CASH * 0.999
    fallen = baselines_over([2000.0] * 60 + [1600.0] * 60 + [1600.0] * 60 + [1650.0, 1600.0] * 60)
    grid = fallen["always_on_grid"]
    assert CASH * 0.8 < grid[1] < CASH * 0.95
    assert grid[-1] > grid[1]


def test_a_market_that_begins_later_waits_in_cash():
    """Without a price nothing is bought; the share is there whole."""
    found = Baselines(("BTC-USDT", "ETH-USDT"), CASH + 1, dict.fromkeys(KEYS, COSTS), BarPath.OPTIMISTIC)
    found.hour({})
    assert found.found == {"cash": [CASH + 1], "hold": [CASH + 1], "always_on_grid": [CASH + 1]}
