"""Values in records: what is written is read back, and nothing else is taken for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import DataInvalid
from market.values import ValueForm


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    count: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    colour: Colour
    on: bool
    parts: tuple[Inner, ...]


FORM = ValueForm(Outer)
INNER = st.builds(Inner, st.integers(), st.none() | st.floats(allow_nan=False, allow_infinity=False))
RECORD: dict[str, Any] = {
    "name": "a",
    "colour": "red",
    "on": True,
    "parts": [{"count": 1, "share": 0.5}],
}


@given(st.builds(Outer, st.text(), st.sampled_from(Colour), st.booleans(), st.lists(INNER).map(tuple)))
def test_a_value_is_read_back_as_it_was(value: Outer):
    """Enumerations, tuples and values within values included."""
    record = FORM.as_record(value)
    assert FORM.of_record(record, "x") == value
    assert FORM.as_record(FORM.of_record(record, "x")) == record


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on": 1}, "here: on: "),
        ({"colour": "green"}, "here: colour: "),
        ({"name": None}, "here: name: "),
        ({"parts": [{"count": 1.5, "share": None}]}, "here: parts.0.count: "),
        ({"parts": [{"count": 1}]}, "here: parts.0.share: Field required"),
        ({"more": 1}, "here: more: unknown"),
        ({"parts": {1, 2}}, "here"),
    ],
)
def test_another_value_is_refused_by_field(change: dict[str, Any], words: str):
    """Of another kind, missing, unknown, or nothing that a record can hold."""
    with pytest.raises(DataInvalid) as refused:
        FORM.of_record(RECORD | change, "here")
    assert str(refused.value).startswith(words)
    assert len(str(refused.value)) < 250


@dataclass(frozen=True, slots=True)
class Counts:
    bars: int = 0


def test_a_field_with_a_default_is_asked_for_too():
    """What is missing in a record is not assumed."""
    with pytest.raises(DataInvalid, match="bars: missing"):
        ValueForm(Counts).of_record({}, "here")


def test_what_is_no_mapping_is_refused():
    """By its kind."""
    with pytest.raises(DataInvalid, match="expected a mapping, got list"):
        FORM.of_record([RECORD], "here")
