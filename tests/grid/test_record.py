"""The grid's file: what it may say, how it grows, and every way to write it wrong, refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from grid.parameters import GridKind
from grid.record import (
    EventKind,
    as_value,
    extends,
    grid_record_of,
    new_record,
    with_event,
    with_version,
)
from market.errors import DataInvalid
from store import yaml_text
from tests.grid.records import DAY, FILE, changed, drawn_parameters, drawn_records, parameters

WHERE = "grids/eth-1.yaml"


def test_a_file_is_read_to_the_digit():
    """Numbers become the decimals that were written, times instants, and left-out fields None."""
    record = grid_record_of(FILE, WHERE)
    first, second = record.versions
    assert first.parameters.upper == Decimal("3200.5")
    assert first.parameters.stop_loss == Decimal("2750.25")
    assert (second.stop_loss, second.profit_pct, second.take_profit) == (None, None, None)
    assert first.since == datetime(2026, 2, 1, 10, tzinfo=UTC)
    assert [event.event for event in record.history] == ["enabled", "disabled", "enabled"]
    assert (record.history[0].by, record.history[1].reason) == ("operator", "dec-1")


def test_what_was_left_out_stays_left_out():
    """Writing a file again changes none of its entries."""
    assert as_value(grid_record_of(FILE, WHERE)) == FILE


@given(drawn_records())
def test_records_survive_yaml(record):
    """Through the store's own text and back, for any life of a grid and any price a file keeps."""
    text = yaml_text.dump(as_value(record))
    assert grid_record_of(yaml_text.load(text, WHERE), WHERE) == record
    assert yaml_text.dump(as_value(grid_record_of(yaml_text.load(text, WHERE), WHERE))) == text


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("schema_version", 2, "schema_version"),
        ("schema_version", True, "schema_version"),
        ("grid_id", "../etc", "grid_id"),
        ("grid_id", "a..b", "grid_id"),
        ("grid_id", 7, "grid_id"),
        ("market", "eth", "market"),
        ("market", "../X", "market"),
        ("kind", "huge", "kind"),
        ("versions", [], "versions"),
        ("versions", "none", "versions"),
        ("versions.0.version", 2, "versions.0.version"),
        ("versions.1.version", 1, "versions.1.version"),
        ("versions.1.version", 3, "versions.1.version"),
        ("versions.0.version", "1", "versions.0.version"),
        ("versions.1.from", "2026-01-31T10:00:00Z", "versions.1.from"),
        ("versions.1.from", "yesterday", "versions.1.from"),
        ("versions.1.from", "2026-02-03T10:00:00.000000Z", "versions.1.from"),
        ("versions.1.from", 20260203, "versions.1.from"),
        ("versions.0.lower", 3200.5, "versions.0.upper"),
        ("versions.0.lower", 9000, "versions.0.upper"),
        ("versions.0.lower", 0, "versions.0.lower"),
        ("versions.0.lower", -5, "versions.0.lower"),
        ("versions.0.lower", "2800", "versions.0.lower"),
        ("versions.0.lower", True, "versions.0.lower"),
        ("versions.0.lower", float("nan"), "versions.0.lower"),
        ("versions.0.lower", 1e-19, "versions.0.lower"),
        ("versions.0.upper", 1e15, "versions.0.upper"),
        ("versions.0.levels", 1, "versions.0.levels"),
        ("versions.0.levels", 201, "versions.0.levels"),
        ("versions.0.levels", 8.0, "versions.0.levels"),
        ("versions.0.spacing", "wide", "versions.0.spacing"),
        ("versions.0.amount_per_grid", -50, "versions.0.amount_per_grid"),
        ("versions.0.amount_per_grid", 0, "versions.0.amount_per_grid"),
        ("versions.0.profit_pct", 0, "versions.0.profit_pct"),
        ("versions.0.stop_loss", 2800, "versions.0.stop_loss"),
        ("versions.0.stop_loss", 3000, "versions.0.stop_loss"),
        ("versions.0.take_profit", 3200.5, "versions.0.take_profit"),
        ("versions.0.enabled", True, "versions.0.enabled"),
        ("history.0.event", "disabled", "history.0.event"),
        ("history.1.event", "enabled", "history.1.event"),
        ("history.1.event", "paused", "history.1.event"),
        ("history.1.at", "2026-02-01T10:04:59Z", "history.1.at"),
        ("history.1.version", 3, "history.1.version"),
        ("history.1.version", 0, "history.1.version"),
        ("history.1.version", 2, "history.1.version"),
        ("history.2", "enabled", "history.2"),
        ("history", 5, "history"),
        ("enabled", True, "enabled"),
    ],
)
def test_property_42_a_file_that_is_wrong_is_refused_by_the_fields_name(path, value, field):
    """Inverted bounds, one level, negative amounts, two enables, a version that goes back, and the rest."""
    with pytest.raises(DataInvalid) as refused:
        grid_record_of(changed(path, value), WHERE)
    assert (refused.value.where, refused.value.field) == (WHERE, field)


@pytest.mark.parametrize("value", [None, [], "grid", 7])
def test_a_file_that_is_no_mapping_is_refused(value):
    """Whatever else YAML can hold."""
    with pytest.raises(DataInvalid, match="expected a mapping"):
        grid_record_of(value, WHERE)


@pytest.mark.parametrize("field", ["grid_id", "market", "versions"])
def test_a_missing_field_is_named(field):
    """There is no default for what makes the grid."""
    with pytest.raises(DataInvalid) as refused:
        grid_record_of({name: value for name, value in FILE.items() if name != field}, WHERE)
    assert refused.value.field == field


def test_bounds_may_be_set_as_exactly_as_the_market_counts():
    """The limits themselves pass: 2 and 200 levels, equal instants, a stop just below."""
    for path, value in (
        ("versions.0.levels", 2),
        ("versions.0.levels", 200),
        ("versions.0.stop_loss", 2799.99),
        ("versions.0.take_profit", 3200.51),
        ("versions.0.lower", 1e-18),
        ("versions.1.from", "2026-02-01T10:00:00Z"),
        ("history.1.at", "2026-02-01T10:05:00Z"),
        ("history.0.at", "2026-02-01T10:00:00Z"),
    ):
        value_ = changed(path, value)
        if value == 1e-18:
            value_["versions"][0]["stop_loss"] = None
        assert grid_record_of(value_, WHERE)


def test_the_reference_form_is_read_as_events():
    """`{enabled, disabled}` is two events, an open end one; each under the newest version of its time."""
    value = changed(
        "history",
        [
            {"enabled": "2026-02-01T10:05:00Z", "disabled": "2026-02-02T08:00:00Z", "reason": "tired"},
            {"enabled": "2026-02-03T10:00:00Z", "disabled": None},
        ],
    )
    del value["schema_version"]
    found = grid_record_of(value, WHERE).history
    assert [(event.event, event.version, event.reason) for event in found] == [
        ("enabled", 1, None),
        ("disabled", 1, "tired"),
        ("enabled", 2, None),
    ]


@pytest.mark.parametrize(
    ("history", "field"),
    [
        ([{"disabled": "2026-02-02T08:00:00Z"}], "history.0.event"),
        ([{"enabled": "2026-01-01T08:00:00Z"}], "history.0.version"),
        ([{"enabled": 5}], "history.0.at"),
        ([{"enabled": "2026-02-02T08:00:00Z", "mood": "good"}], "history.0.mood"),
        ([{"enabled": None}], None),
    ],
)
def test_the_reference_form_is_held_to_the_same_rules(history, field):
    """Migration mends nothing; an entry without any time is no event."""
    value = changed("history", history)
    if field is None:
        assert grid_record_of(value, WHERE).history == ()
        return
    with pytest.raises(DataInvalid) as refused:
        grid_record_of(value, WHERE)
    assert refused.value.field == field


def test_a_reference_form_beside_nonsense_versions_is_still_refused_by_name():
    """The migration looks at versions before they are validated."""
    for versions in (3, [7], [{"from": 5}]):
        value = changed("versions", versions)
        value["history"] = [{"enabled": "2026-02-02T08:00:00Z"}]
        with pytest.raises(DataInvalid, match="versions"):
            grid_record_of(value, WHERE)


@given(drawn_records(), drawn_records())
def test_property_47_only_additions_at_the_end_extend(ours, theirs):
    """Every shorter life is extended by a longer one of itself; nothing else passes."""
    assert extends(ours, ours) is None
    for cut in range(len(ours.history) + 1):
        shorter = ours.model_copy(update={"history": ours.history[:cut]})
        assert extends(shorter, ours) is None
        assert (extends(ours, shorter) is None) == (cut == len(ours.history))
    begins = (
        ours.kind == theirs.kind
        and theirs.versions[: len(ours.versions)] == ours.versions
        and theirs.history[: len(ours.history)] == ours.history
    )
    assert (extends(ours, theirs) is None) == begins


def test_why_a_file_does_not_extend_ours_is_said_by_field():
    """The grid's own facts, an entry changed, an entry gone."""
    ours = grid_record_of(FILE, WHERE)
    for path, value, told in (
        ("grid_id", "eth-2", "grid_id"),
        ("market", "BTC-USDT", "market"),
        ("kind", "probationary", "kind"),
        ("versions.0.lower", 2801, "versions.0"),
        ("history.1.reason", "else", "history.1"),
        ("history", FILE["history"][:2], "history: 2 entries"),
    ):
        assert extends(ours, grid_record_of(changed(path, value), WHERE)).startswith(told)


@given(drawn_records(), st.data())
def test_property_47_versions_only_grow_by_one(record, data):
    """Any other number, and a date before the last version's, is refused; what was there stays."""
    number = data.draw(st.integers(1, len(record.versions) + 3))
    days = data.draw(st.integers(-1, 1))
    since = record.versions[-1].since + timedelta(days=days)
    added = data.draw(drawn_parameters(number))
    if number != len(record.versions) + 1 or days < 0:
        with pytest.raises(DataInvalid, match=r"versions\."):
            with_version(record, added, since)
        return
    grown = with_version(record, added, since)
    assert extends(record, grown) is None
    assert grown.versions[-1].parameters == added


@given(drawn_records(), st.sampled_from(list(EventKind)), st.integers(-2, 2), st.integers(0, 6))
def test_property_47_events_alternate_and_never_go_back(record, event, days, version):
    """One more event: the other kind, not earlier, of a version that is there; else refused."""
    last = record.history[-1].at if record.history else record.versions[-1].since
    at = last + timedelta(days=days)
    assume(record.history or days >= 0)
    expected = EventKind.DISABLED if len(record.history) % 2 else EventKind.ENABLED
    there = 1 <= version <= len(record.versions) and record.versions[version - 1].since <= at
    if event is expected and days >= 0 and there:
        grown = with_event(record, event, at, version, "why", "me")
        assert extends(record, grown) is None
        assert (grown.history[-1].at, grown.history[-1].reason, grown.history[-1].by) == (at, "why", "me")
    else:
        with pytest.raises(DataInvalid, match="history"):
            with_event(record, event, at, version)


def test_numbers_that_a_file_cannot_keep_are_refused_when_they_are_added():
    """A plain number has 17 digits; a time without a zone is no instant."""
    made = parameters(lower=Decimal("100.00000000000000001"))
    with pytest.raises(DataInvalid, match=r"lower: .*more digits"):
        new_record("eth-1", "ETH-USDT", GridKind.NORMAL, made, DAY)
    record = new_record("eth-1", "ETH-USDT", GridKind.NORMAL, parameters(), DAY)
    with pytest.raises(DataInvalid, match="at: "):
        with_event(record, EventKind.ENABLED, datetime(2026, 2, 3), 1)
    with pytest.raises(DataInvalid, match="grid eth 1: grid_id"):
        new_record("eth 1", "ETH-USDT", GridKind.NORMAL, parameters(), DAY)
