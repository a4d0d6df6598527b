"""A day's KPIs: the day, the 30 days that end with it, open cases apart, nothing before the first record."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from decisions.kpi_day import BUDGET, DAY, TRAILING, kpi_day
from decisions.kpis import kpis
from tests.decisions.test_kpis import (
    CONFIG,
    LATE,
    MANDATORY,
    NORMAL,
    T0,
    WARNING,
    at,
    exited,
    run,
)

EARLY = T0 - timedelta(days=90)
TODAY = T0 + 4 * DAY


def told(*episodes: Any, day: datetime = TODAY, first: datetime = EARLY) -> Any:
    return kpi_day(episodes, [], day, first, CONFIG)


def test_a_day_states_itself_and_the_thirty_days_that_end_with_it():
    """Both end with the day; their figures are those of the period, the budget apart and nothing lost."""
    alarmed = run((30, LATE), (100, LATE))
    found = told(alarmed)
    assert (found.day.report.start, found.day.report.end) == (TODAY, TODAY + DAY)
    assert (found.trailing.report.start, found.trailing.report.end) == (TODAY + DAY - TRAILING, TODAY + DAY)
    record = found.trailing.as_record()
    assert list(record) == ["from", "to", "kpis", "alert_budget", "open"]
    assert tuple(record["alert_budget"]) == BUDGET
    whole = kpis([alarmed], [], TODAY + DAY - TRAILING, TODAY + DAY, CONFIG).as_record()["kpis"]
    assert {**record["kpis"], **record["alert_budget"]} == whole
    assert record["alert_budget"]["alerts_per_week"]["n"] == 1


@pytest.mark.parametrize(("hours", "rate"), [(0, 7 / 5), (96, 7.0), (108, 14.0)])
def test_no_period_begins_before_the_first_judged_hour(hours, rate):
    """One alert in five days of record, in one, in half a one: days without a record thin no rate."""
    found = told(run((110, LATE)), first=at(hours))
    assert found.trailing.report.start == at(hours)
    assert found.trailing.report["alerts_per_week"].value == pytest.approx(rate, abs=1e-6)
    assert found.day.report.start == max(at(hours), TODAY)


def test_without_a_grid_that_ran_the_alert_budget_is_null_and_says_so():
    """Not 0 alerts a week: there was nothing to be alarmed about. A run that ended before does not count."""
    for episodes in ([], [run(stopped_at=at(96))], [run(started_at=TODAY + DAY)]):
        budget = told(*episodes).day.as_record()["alert_budget"]
        assert {figure["value"] for figure in budget.values()} == {None}
        assert {figure["note"] for figure in budget.values()} == {"no grid ran"}
    calm = told(run()).day.as_record()["alert_budget"]
    assert calm["alerts_per_week"]["value"] == 0.0
    assert (calm["alerts_false"]["value"], calm["alerts_false"]["note"]) == (
        None,
        "insufficient: 0 of 10 cases",
    )


OPEN = {"runs": 0, "alerts": 0, "exits": 0, "mandatory": 0, "holds": 0}


@pytest.mark.parametrize(
    ("episode", "open_cases"),
    [
        (run(), {"runs": 1}),
        (run((100, WARNING), (110, NORMAL)), {"runs": 1}),
        (run((100, LATE), followed_until=at(120)), {"runs": 1, "alerts": 1}),
        (run((100, LATE), followed_until=at(184)), {"runs": 1}),
        (exited(110, (100, LATE), followed_until=at(120)), {"alerts": 1, "exits": 1}),
        (run(stopped_at=at(110)), {}),
        (run((119.5, MANDATORY), followed_until=at(120)), {"runs": 1, "alerts": 1, "mandatory": 1}),
        (run(adverse_at=at(100)), {"runs": 1, "holds": 1}),
        (run(adverse_at=at(90)), {"runs": 1}),
        (exited(102, adverse_at=at(100)), {"holds": 1}),
        (exited(102, adverse_at=at(100), hold_stop_at=at(105)), {}),
    ],
)
def test_cases_that_are_still_open_are_counted_apart_by_kind(episode, open_cases):
    """A run, an alert or an exit whose 84 hours are not over, a mandatory exit of now, a hold path."""
    assert told(episode).day.open_cases == OPEN | open_cases


def test_a_hold_path_is_closed_when_its_seven_days_are_over():
    """A day later it is known that the stop-loss was not hit."""
    episode = exited(10, adverse_at=at(9))
    for days, count in ((6, 1), (7, 0)):
        assert told(episode, day=T0 + days * DAY).trailing.open_cases["holds"] == count
