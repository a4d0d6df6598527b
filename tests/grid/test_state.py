"""A grid at an instant: what versions and events say, nothing later and nothing else."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.parameters import GridKind
from grid.record import EventKind, new_record, with_event, with_version
from grid.state import as_config, of_config, state_at
from market.errors import DataInvalid
from tests.grid.records import DAY, drawn_records, instants, parameters

HOUR = timedelta(hours=1)


def lived():
    """Return a grid that started at 1 h, was adjusted at 2, stopped at 3, renewed at 4, started at 5."""
    record = new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(1), DAY)
    record = with_event(record, EventKind.ENABLED, DAY + HOUR, 1)
    record = with_version(record, parameters(2), DAY + 2 * HOUR)
    record = with_event(record, EventKind.DISABLED, DAY + 3 * HOUR, 2, "dec-9", "operator")
    record = with_version(record, parameters(3), DAY + 4 * HOUR)
    return with_event(record, EventKind.ENABLED, DAY + 5 * HOUR, 3)


@pytest.mark.parametrize(
    ("hours", "running", "version", "started", "stopped", "since"),
    [
        (0, False, 1, None, None, None),
        (1, True, 1, 1, None, 1),
        (2, True, 2, 1, None, 2),
        (3, False, 2, 1, 3, None),
        (4, False, 2, 1, 3, None),
        (5, True, 3, 5, None, 5),
    ],
)
def test_a_life_by_hand(hours, running, version, started, stopped, since):
    """An adjusted grid runs on under its new version; one that came while it stood waits for a start."""

    def at(hour):
        return None if hour is None else DAY + hour * HOUR

    state = state_at(lived(), DAY + hours * HOUR)
    assert (state.running, state.parameters.version) == (running, version)
    assert (state.started_at, state.stopped_at) == (at(started), at(stopped))
    assert state.in_force_since == at(since)
    assert state.stop_reason == ("dec-9" if stopped else None)


def test_before_its_first_version_there_is_no_grid():
    """A minute before it is written down nobody knows of it."""
    assert state_at(lived(), DAY - timedelta(minutes=1)) is None


def test_before_any_event_the_newest_version_counts():
    """It would be the one to start."""
    record = with_version(
        new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(1), DAY), parameters(2), DAY + HOUR
    )
    assert state_at(record, DAY + HOUR).parameters.version == 2


def test_a_version_of_the_start_itself_does_not_replace_the_one_that_was_started():
    """Only a version later than the start is an adjustment."""
    record = new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(1), DAY)
    record = with_version(record, parameters(2), DAY)
    record = with_event(record, EventKind.ENABLED, DAY, 1)
    assert state_at(record, DAY + HOUR).parameters.version == 1
    assert state_at(record, DAY + HOUR).in_force_since == DAY


@given(drawn_records(), instants())
def test_property_51_the_last_event_alone_says_whether_it_runs(record, instant):
    """No field, no earlier event and no version can say otherwise."""
    state = state_at(record, instant)
    events = [event for event in record.history if event.at <= instant]
    if state is None:
        assert record.versions[0].since > instant
        return
    assert state.running == bool(events and events[-1].event is EventKind.ENABLED)
    if events and not state.running:
        assert state.parameters.version == events[-1].version


@given(drawn_records(), instants())
def test_what_came_later_changes_nothing_before_it(record, instant):
    """Deleting the future leaves every state as it was."""
    versions = tuple(version for version in record.versions if version.since <= instant)
    past = record.model_copy(
        update={
            "versions": versions,
            "history": tuple(event for event in record.history if event.at <= instant),
        }
    )
    assert state_at(past, instant) == state_at(record, instant)


@given(drawn_records(), instants())
def test_a_state_survives_a_snapshot(record, instant):
    """Through JSON and back, to the digit; and its numbers are text, so that digests are exact."""
    state = state_at(record, instant)
    if state is None:
        return
    config = orjson.loads(orjson.dumps(as_config(state)))
    assert of_config(config, "snapshot") == state
    assert not any(isinstance(value, float) for value in config.values())


def config(**others):
    return {**as_config(state_at(lived(), DAY + HOUR)), **others}


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], ""),
        (config(lower=100), "lower"),
        (config(lower="1e"), "lower"),
        (config(lower="500"), "upper"),
        (config(levels="4"), "levels"),
        (config(levels=1), "levels"),
        (config(spacing="x"), "spacing"),
        (config(kind="x"), "kind"),
        (config(grid_id="a/b"), "grid_id"),
        (config(market="eth"), "market"),
        (config(running=1), "running"),
        (config(more=1), "more"),
        (config(running=False), "in_force_since"),
        (config(in_force_since=None), "in_force_since"),
        (config(started_at=None), "running"),
        (config(stopped_at="2026-02-02T00:00:00Z"), "running"),
        (config(stop_reason="x"), "stop_reason"),
        ({name: value for name, value in config().items() if name != "upper"}, "upper"),
    ],
)
def test_property_42_a_state_that_cannot_be_is_refused_by_name(value, field):
    """Of another form, missing, unknown, or against another field."""
    with pytest.raises(DataInvalid) as refused:
        of_config(value, "snapshot 14")
    assert (refused.value.where, refused.value.field) == ("snapshot 14", field)


@given(
    st.sampled_from(["lower", "upper", "levels", "spacing", "amount_per_grid", "stop_loss"]),
)
def test_the_same_ladder_is_the_same_prices(field):
    """Amounts, exits and the version's number do not move an order."""
    others = {
        "lower": Decimal(101),
        "upper": Decimal(141),
        "levels": 5,
        "spacing": "geometric",
        "amount_per_grid": Decimal(51),
        "stop_loss": Decimal(90),
    }
    moved = field in ("lower", "upper", "levels", "spacing")
    assert parameters(1).same_ladder(parameters(2, **{field: others[field]})) is not moved
    assert parameters(1).centre == 120


def test_a_version_before_the_first_is_none():
    """They are counted from 1."""
    with pytest.raises(DataInvalid, match="version"):
        parameters(0)
