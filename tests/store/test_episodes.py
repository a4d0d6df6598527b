"""Runs of grids from the records: how each started and ended; what is not known stays unknown."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from decisions.actions import Answer
from decisions.episodes import Episode
from decisions.evaluate import evaluate
from decisions.kpi_targets import KpisConfig
from grid.record import EventKind, GridRecord, with_event
from market.hours import Hour
from store.advice import Deed, deed_change_set, read_advice
from store.episodes import answered_between, episodes_of, runs_of
from store.exit_files import exit_states_growth
from store.grids import GridShelf
from store.minutes import MinuteShelf
from tests.decisions.builders import HOUR, inputs, policy, running, window
from tests.store.test_outcomes import CLOSE, GRID, ID, RUNS, STOP, lay, lay_advice, lay_hours

LATER = HOUR.plus(30)
HALF = timedelta(minutes=30)


def stopped(at: datetime, reason: str | None = "by hand") -> GridRecord:
    return with_event(RUNS, EventKind.DISABLED, at, 1, reason=reason, by="operator")


def found(
    root: Path, record: GridRecord, newest: Hour = LATER, since: datetime | None = None
) -> list[Episode]:
    return episodes_of(root, record, window(newest), MinuteShelf(root), KpisConfig(), 3, since)


def test_a_run_has_the_bounds_of_its_version_and_the_atr_of_its_start(tmp_path):
    """While it runs nothing is realised; its exit state stands in the day's file."""
    lay_advice(tmp_path, STOP, RUNS)
    lay(tmp_path, exit_states_growth(STOP, tmp_path))
    (run,) = found(tmp_path, RUNS, HOUR)
    assert (run.started_at, run.stopped_at, run.lower, run.upper) == (HOUR.opens_at, None, 1900.0, 2100.0)
    assert run.atr == STOP.exits_value()[GRID]["fold"]["atr"]
    assert [(change.at, change.state.value) for change in run.changes] == [(CLOSE, "MANDATORY_EXIT")]
    assert (run.realised, run.peak, run.hold_stop_at, run.stop_accepted_at) == (None, None, None, None)


def test_what_an_hour_after_the_newest_one_brought_is_not_known_yet(tmp_path):
    """Looked at from an earlier hour, a later exit state has not happened."""
    lay_advice(tmp_path, STOP, RUNS)
    lay(tmp_path, exit_states_growth(STOP, tmp_path))
    (run,) = found(tmp_path, RUNS, HOUR.plus(-1))
    assert run.changes == ()
    assert run.atr is None  # no hour followed it by then


def test_an_accepted_stop_is_told_from_one_by_hand(tmp_path):
    """The reason of an accepted stop is the recommendation's name; words that look like one are words."""
    lay_advice(tmp_path, STOP, RUNS)
    at = CLOSE + timedelta(minutes=20)
    recorded = read_advice(tmp_path, ID)
    change_set = deed_change_set(recorded, Deed(Answer.ACCEPT, at, "operator"), RUNS, at)
    lay(tmp_path, change_set.files)
    (run,) = found(tmp_path, GridShelf(tmp_path).records()[GRID])
    assert (run.stopped_at, run.stop_accepted_at) == (at, at)
    for reason in (None, "sold", "see /dec-1", "2026-02-02/dec-ETH-USDT-990000"):
        (run,) = found(tmp_path, stopped(at, reason))
        assert (run.stopped_at, run.stop_accepted_at) == (at, None)
    answered = list(answered_between(tmp_path, HOUR.opens_at, CLOSE + HALF))
    assert [each.file.id for each in answered] == [ID]
    assert not list(answered_between(tmp_path, HOUR.opens_at, CLOSE))


def test_a_stop_that_was_only_noted_was_not_advised(tmp_path):
    """A person's own stop that names the advice in its reason, without an accept."""
    lay_advice(tmp_path, STOP, RUNS)
    (run,) = found(tmp_path, stopped(CLOSE + HALF, ID))
    assert run.stop_accepted_at is None


@pytest.mark.parametrize(("fall_h", "newest_h", "hit"), [(5, 30, True), (5, 4, False), (200, 170, False)])
def test_the_hold_path_hits_its_stop_loss_within_seven_days_as_far_as_it_is_known(
    tmp_path, fall_h, newest_h, hit
):
    """The same grid goes on from where the last hour left it; hours after the newest one do not count."""
    hold = evaluate(inputs(grids=(running(),)), policy())
    lay_advice(tmp_path, hold, RUNS)
    lay_hours(
        tmp_path,
        HOUR.plus(1),
        min(fall_h + 3, 169),
        lambda minute: Decimal(1800 if minute >= fall_h * 60 else 2000),
    )
    (run,) = found(tmp_path, stopped(CLOSE + HALF), HOUR.plus(newest_h))
    assert (run.hold_stop_at is not None) is hit
    if hit:
        assert run.hold_stop_at == HOUR.plus(1 + fall_h).opens_at
    assert run.realised == hold.exits_value()[GRID]["position"]["figures"]["net_profit"]


def test_a_run_without_a_position_has_no_profit_and_no_hold_path(tmp_path):
    """Without the market's rules nothing was simulated, and nothing is made up."""
    lay_advice(tmp_path, evaluate(inputs(grids=(running(),), rules=None), policy()), RUNS)
    (run,) = found(tmp_path, stopped(CLOSE + HALF))
    assert (run.realised, run.peak, run.hold_stop_at) == (None, None, None)


def test_a_run_that_ended_long_ago_is_left_out_when_asked(tmp_path):
    """Until 72 hours after its stop A may still come; after that it has nothing to tell."""
    record = stopped(CLOSE)
    assert len(list(runs_of(record))) == 1
    for since, count in ((CLOSE + timedelta(hours=72), 1), (CLOSE + timedelta(hours=73), 0)):
        assert len(found(tmp_path, record, LATER, since)) == count
