"""Circuit breakers: what trips them, what lets them go, and that a restart does neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from market.errors import DataInvalid
from trading.breakers import RISK_FORM, BreakersConfig, RiskState, after_hour, tripped
from trading.ledger import Difference
from trading.reasons import Reason

CONFIG = BreakersConfig()
CENT_DIFFERS = Difference("USDT", 100, 101)


def hours(*navs: int, state: RiskState | None = None, config: BreakersConfig = CONFIG) -> RiskState:
    """Return the state after calm hours with these values of the account."""
    state = RiskState.none() if state is None else state
    for nav in navs:
        state = after_hour(state, config, nav, answered=True, errors=0, differences=())
    return state


def reason_of(state: RiskState, nav: int = 100, stale_minutes: int = 0) -> Reason | None:
    found = tripped(state, CONFIG, nav, stale_minutes)
    return None if found is None else found.reason


def test_a_calm_account_trips_nothing():
    """Nor does one before its first hour, or one that is worth nothing."""
    assert reason_of(RiskState.none()) is None
    assert reason_of(hours(100, 120, 110)) is None
    assert hours(0, 0) == RiskState.none()


def test_a_price_that_is_too_old_stops_trading():
    """At the limit it is still good."""
    assert reason_of(RiskState.none(), stale_minutes=5) is None
    found = tripped(RiskState.none(), CONFIG, 100, 6)
    assert str(found) == "stale_data: the last price is 6 min old, limit 5 min"


def test_a_drawdown_trips_at_its_limit_and_stays_until_most_is_won_back():
    """15 % below the peak trips; only at 10 % or less it lets go; in between it stays as it was."""
    assert not hours(1000, 851).drawdown_latched
    assert hours(1000, 850).drawdown_latched
    assert hours(1000, 700, 899).drawdown_latched
    assert not hours(1000, 700, 900).drawdown_latched
    assert hours(1000, 700, 900, 851).drawdown_latched is False
    found = tripped(hours(1000, 850), CONFIG, 840, 0)
    assert found is not None
    assert found.reason is Reason.DRAWDOWN_BREAKER
    assert found.found == "16 % below the peak"


def test_the_operator_lets_go_of_the_drawdown_breaker_once():
    """A raised counter begins a new peak at the present value, and is not obeyed again."""
    raised = BreakersConfig(drawdown_reset=1)
    latched = hours(1000, 700)
    let_go = hours(700, state=latched, config=raised)
    assert (let_go.drawdown_latched, let_go.peak_nav, let_go.drawdown_resets) == (False, 700, 1)
    assert not hours(690, state=let_go, config=raised).drawdown_latched
    assert hours(595, state=let_go, config=raised).drawdown_latched
    assert hours(595, 595, state=let_go, config=CONFIG).drawdown_latched


def test_errors_count_in_a_row_over_hours_and_an_answer_ends_them():
    """Three unanswered calls stop trading; what fails after an answer counts from one again."""
    state = RiskState.none()
    for _ in range(2):
        state = after_hour(state, CONFIG, 100, answered=False, errors=1, differences=())
    assert reason_of(state) is None
    state = after_hour(state, CONFIG, 100, answered=False, errors=1, differences=())
    assert str(tripped(state, CONFIG, 100, 0)) == "exchange_errors: 3 calls in a row failed, limit 3"
    assert after_hour(state, CONFIG, 100, answered=False, errors=0, differences=()).exchange_errors == 3
    state = after_hour(state, CONFIG, 100, answered=True, errors=2, differences=())
    assert state.exchange_errors == 2
    assert reason_of(state) is None


def test_books_that_differ_stop_trading_until_they_agree():
    """An hour without balances changes nothing; the refusal says which coin and by how much."""
    state = after_hour(RiskState.none(), CONFIG, 100, answered=True, errors=0, differences=[CENT_DIFFERS])
    assert str(tripped(state, CONFIG, 100, 0)) == (
        "books_differ: USDT: the books say 100, the exchange 101, limit no difference"
    )
    unheard = after_hour(state, CONFIG, 100, answered=False, errors=1, differences=None)
    assert reason_of(unheard) is Reason.BOOKS_DIFFER
    assert reason_of(hours(100, state=state)) is None


def test_the_breakers_go_in_the_order_of_the_reasons():
    """Stale data before drawdown before errors before books."""
    state = RiskState(1000, drawdown_latched=True, drawdown_resets=0, exchange_errors=3, books_differ=("x",))
    assert reason_of(state, stale_minutes=6) is Reason.STALE_DATA
    assert reason_of(state) is Reason.DRAWDOWN_BREAKER
    calmer = after_hour(state, CONFIG, 1000, answered=False, errors=0, differences=[CENT_DIFFERS])
    assert reason_of(calmer) is Reason.EXCHANGE_ERRORS
    calmer = after_hour(state, CONFIG, 1000, answered=True, errors=0, differences=[CENT_DIFFERS])
    assert reason_of(calmer) is Reason.BOOKS_DIFFER


def test_three_coins_that_differ_are_named_and_no_more():
    """A refusal stays a sentence."""
    coins = [Difference(coin, 1, 2) for coin in "ABCD"]
    state = after_hour(RiskState.none(), CONFIG, 100, answered=True, errors=0, differences=coins)
    found = tripped(state, CONFIG, 100, 0)
    assert found is not None
    assert [words[0] for words in found.found.split("; ")] == ["A", "B", "C"]
    assert len(state.books_differ) == 4


def test_there_is_no_drawdown_at_a_peak_or_above_it():
    """It is 0 there, never negative."""
    state = hours(1000)
    assert [state.drawdown_pct(nav) for nav in (1000, 1001, 999)] == [0.0, 0.0, 0.1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"exchange_errors": -1}, "exchange_errors"),
        ({"drawdown_latched": 1}, "drawdown_latched"),
        ({"books_differ": "no"}, "books_differ"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_state_is_refused_by_the_name_of_its_field(change, field):
    """Never read as all is well."""
    with pytest.raises(DataInvalid) as refused:
        RISK_FORM.of_record({**RISK_FORM.as_record(RiskState.none()), **change}, "state")
    assert refused.value.field == field


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=30))
def test_the_breaker_is_what_the_whole_past_says(navs):
    """Against the plain history, the state written down and read back after every hour."""
    state, latched = RiskState.none(), False
    for passed in range(1, len(navs) + 1):
        state = hours(navs[passed - 1], state=state)
        state = RISK_FORM.of_record(json.loads(json.dumps(RISK_FORM.as_record(state))), "risk")
        peak, nav = max(navs[:passed]), navs[passed - 1]
        if (peak - nav) * 100 >= 15 * peak > 0:
            latched = True
        elif (peak - nav) * 100 <= 10 * peak:
            latched = False
        assert (state.drawdown_latched, state.peak_nav) == (latched, peak)


@pytest.mark.parametrize("rearm", [15.0, 20.0])
def test_a_breaker_that_lets_go_where_it_trips_is_a_mistake(rearm):
    """It would flutter."""
    with pytest.raises(ValidationError, match=f"rearm_drawdown_pct {rearm} must be below max_drawdown_pct"):
        BreakersConfig(rearm_drawdown_pct=rearm)
