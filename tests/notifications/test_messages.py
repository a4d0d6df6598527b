from dataclasses import replace

import pytest

from market.hours import Hour
from notifications.advice import AdviceFacts
from notifications.messages import HourFacts, hour_notices
from notifications.notice import Level

HOUR = Hour.parse("2026-02-02T14")
OK = HourFacts("ETH-USDT", HOUR, "analysed", None, "RANGE_OK", 0.81, 2500.0, 2400.0, 2600.0)
BLIND = HourFacts(
    "ETH-USDT", HOUR, "insufficient", "12 of 60 minutes are missing", None, None, None, None, None
)


def test_a_quiet_week_is_silent():
    """A verdict that stays is not news."""
    for verdict in ("RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND"):
        facts = replace(OK, verdict=verdict)
        assert hour_notices(facts, replace(facts, hour=HOUR.plus(1))) == []
    assert hour_notices(BLIND, replace(BLIND, hour=HOUR.plus(1))) == []


@pytest.mark.parametrize(
    ("before", "verdict"), [("TREND", "TRANSITION"), ("TRANSITION", "TREND"), ("RANGE_OK", "RANGE_WEAK")]
)
def test_where_no_grid_runs_only_what_changes_what_to_do_is_told(before, verdict):
    """Nobody does anything about a trend that is a transition now; most notices of a month were of that."""
    assert hour_notices(replace(OK, verdict=before), replace(OK, hour=HOUR.plus(1), verdict=verdict)) == []


@pytest.mark.parametrize(
    ("before", "verdict", "advice"),
    [
        ("TRANSITION", "RANGE_WEAK", "worth looking"),
        ("RANGE_OK", "TRANSITION", "Open no new grid"),
        ("RANGE_WEAK", "TREND", "Open no new grid"),
    ],
)
def test_a_change_says_what_why_how_sure_and_what_to_do(before, verdict, advice):
    """Every message carries all four; where no grid runs nothing is at stake, and nothing rings."""
    now = replace(OK, hour=HOUR.plus(1), verdict=verdict, hold_probability=0.31)
    (notice,) = hour_notices(replace(OK, verdict=before), now)
    assert notice.level is Level.QUIET
    assert notice.title == f"ETH-USDT: {before} to {verdict}"
    assert "p 0.31" in notice.body
    assert "[2400, 2600]" in notice.body
    assert advice in notice.body


def test_calm_again_is_told_quietly():
    """Good news does not ring."""
    (notice,) = hour_notices(replace(OK, verdict="TREND"), OK)
    assert notice.level is Level.QUIET


def test_an_hour_that_cannot_be_judged_is_told_once_and_its_end_too():
    """No data is news: advice is withheld, and says so."""
    (blind,) = hour_notices(OK, BLIND)
    assert "12 of 60 minutes are missing" in blind.body
    assert "withheld" in blind.body
    (again,) = hour_notices(BLIND, replace(OK, hour=HOUR.plus(3)))
    assert again.title == "ETH-USDT: judged again, RANGE_OK"
    assert hour_notices(None, BLIND)[0].dedupe == blind.dedupe


def test_hours_caught_up_are_folded_into_one_notice():
    """During catch-up only the newest state is told, with what happened meanwhile."""
    missed = [
        replace(OK, hour=HOUR.plus(i), verdict=v) for i, v in enumerate(["RANGE_OK", "TRANSITION", None], 1)
    ]
    (notice,) = hour_notices(OK, replace(OK, hour=HOUR.plus(4), verdict="TREND"), caught_up=missed)
    assert "Caught up 3 h: RANGE_OK > TRANSITION > TREND" in notice.body


def test_the_first_judged_hour_is_told_quietly():
    """The operator hears that a market is watched, once."""
    (notice,) = hour_notices(None, OK)
    assert notice.level is Level.QUIET
    assert "watching" in notice.title


def test_an_unrecorded_hour_is_told_anyway_and_says_so():
    """A failed commit must not silence an exit."""
    (notice,) = hour_notices(OK, replace(OK, verdict="TREND"), recorded=False)
    assert notice.body.startswith("NOT RECORDED")


@pytest.mark.parametrize(
    ("price", "said"),
    [(2500.0, "Price 2500 in ["), (2399.9, "Price 2399.9 below ["), (2600.5, "Price 2600.5 above [")],
)
def test_the_words_say_on_which_side_of_the_range_the_price_is(price, said):
    """A price outside is not told as one inside."""
    (notice,) = hour_notices(OK, replace(OK, verdict="TREND", price=price))
    assert said in notice.body


def test_a_running_grid_is_only_spoken_of_where_one_runs():
    """Nobody looks for a grid that is not there."""
    grid = AdviceFacts(
        "2026-02-02/dec-ETH-USDT-150000", "eth-1", "CONTINUE", "calm", 0.9, "NORMAL", None, None, "", None
    )
    without, beside = OK, replace(OK, advice=(grid,))
    told = [hour_notices(before, replace(before, verdict="TREND"))[0] for before in (without, beside)]
    assert told[0].body.endswith("Open no new grid.")
    assert told[1].body.endswith("Open no new grid; look at the running one and at its stop.")
    assert [notice.level for notice in told] == [Level.QUIET, Level.NORMAL]
