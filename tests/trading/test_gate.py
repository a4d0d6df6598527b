"""The gate: each item is missing until it is shown, at its limit it is, and nothing stands in for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.orders import CASH_SCALE
from trading.comparing import WITHIN, Tolerance
from trading.gate import FEWEST_TRADES, MONTH_H, GateEvidence, missing

WON = {"RANGE": 40 * CASH_SCALE, "TREND_UP": 12 * CASH_SCALE, "CHOPPY": -5 * CASH_SCALE}
AS_EXPECTED = Tolerance(10.0, 10.0, 1.0, 0.5, 0.5, FEWEST_TRADES)
ENOUGH = GateEvidence(MONTH_H, FEWEST_TRADES, WON, AS_EXPECTED, (), live_client=True)
NEEDED_OF_BACKTESTS = "net profit after fees in 2 regimes or more, out of sample"


def items(evidence: GateEvidence) -> list[str]:
    return [each.item for each in missing(evidence)]


def test_nothing_shown_is_everything_missing():
    """A new installation lacks each item, told in the order in which they can be shown."""
    assert [str(each) for each in missing(GateEvidence())] == [
        "live execution: found clients that only read, needed an exchange client that sends orders",
        f"backtest out of sample: found none recorded, needed {NEEDED_OF_BACKTESTS}",
        "paper trading: found 0 h without a hole, needed 720 h (30 days)",
        "paper trades: found 0, needed 30 or more closed trades",
        f"paper against backtest: found no comparison, needed {WITHIN}",
    ]


def test_everything_shown_is_nothing_missing():
    """Each item just at its limit opens the gate."""
    assert missing(ENOUGH) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"live_client": False}, "live execution: found clients that only read"),
        ({"paper_hours": MONTH_H - 1}, "paper trading: found 719 h without a hole, needed 720 h"),
        ({"paper_trades": FEWEST_TRADES - 1}, "paper trades: found 29, needed 30 or more"),
        ({"comparison": None}, "paper against backtest: found no comparison"),
        ({"comparison": replace(AS_EXPECTED, daily_net=7.4)}, "paper against backtest: found 7.40 a day"),
        ({"breakers": ("drawdown_breaker: 16 %", "x")}, "circuit breakers: found drawdown_breaker: 16 %; x"),
        ({"backtest_net": None}, "backtest out of sample: found none recorded"),
        ({"backtest_net": {}}, "backtest out of sample: found no trade"),
        (
            {"backtest_net": None, "refused_backtests": ("a: 3 h", "b: grid")},
            "backtest out of sample: found a: 3 h; b: grid, needed",
        ),
    ],
)
def test_one_item_that_lacks_is_the_only_one_told(change, told):
    """Just below its limit, and alone."""
    (only,) = missing(replace(ENOUGH, **change))
    assert str(only).startswith(told)


@pytest.mark.parametrize(
    ("net", "told"),
    [
        ({"RANGE": 5 * CASH_SCALE}, "RANGE 5.00"),  # one regime is not more than one
        ({"RANGE": 5 * CASH_SCALE, "CHOPPY": 0}, "CHOPPY 0.00, RANGE 5.00"),  # nothing won is no gain
        ({"A": CASH_SCALE, "B": CASH_SCALE, "C": -2 * CASH_SCALE}, "A 1.00, B 1.00, C -2.00"),  # even in all
        ({"A": CASH_SCALE, "B": CASH_SCALE, "C": -3 * CASH_SCALE}, "A 1.00, B 1.00, C -3.00"),  # lost in all
    ],
)
def test_a_backtest_has_to_win_in_two_regimes_and_in_all(net, told):
    """What each regime brought is told, in order of name."""
    (only,) = missing(replace(ENOUGH, backtest_net=net))
    assert (only.item, only.found, only.needed) == ("backtest out of sample", told, NEEDED_OF_BACKTESTS)


def test_the_smallest_gain_in_two_regimes_is_one():
    """A cash unit each is positive net profit in more than one regime."""
    assert missing(replace(ENOUGH, backtest_net={"A": 1, "B": 1, "C": -1})) == ()


@given(
    st.builds(
        GateEvidence,
        st.integers(0, 2 * MONTH_H),
        st.integers(0, 60),
        st.none() | st.dictionaries(st.sampled_from("ABC"), st.integers(-3, 3)),
        st.sampled_from([None, AS_EXPECTED, replace(AS_EXPECTED, daily_net=0.0)]),
        st.sampled_from([(), ("stopped",)]),
        st.booleans(),
    )
)
def test_no_item_makes_up_for_another(evidence):
    """Whatever else is shown, each item is missing exactly while its own evidence is."""
    net = evidence.backtest_net or {}
    won = sum(net.values()) > 0 and sum(cash > 0 for cash in net.values()) >= 2
    compared = evidence.comparison is not None and evidence.comparison.holds
    expected = {
        "live execution": evidence.live_client,
        "backtest out of sample": won,
        "paper trading": evidence.paper_hours >= 720,
        "paper trades": evidence.paper_trades >= 30,
        "paper against backtest": compared,
        "circuit breakers": not evidence.breakers,
    }
    assert items(evidence) == [item for item, is_shown in expected.items() if not is_shown]
