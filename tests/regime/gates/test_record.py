"""What is recorded is what the next hour is computed from: exactly inverse, and refused where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given

from market.errors import DataInvalid
from regime.gates.config import GatesConfig
from regime.gates.record import as_record, of_record
from tests.regime.gates.readings import CALM, folded, some_hours, unhurried

CONFIG = GatesConfig()


@unhurried
@given(some_hours)
def test_of_record_and_as_record_are_exactly_inverse(hours: Any):
    """Through JSON and through YAML."""
    for each in folded(hours, CONFIG):
        record = as_record(each)
        assert of_record(record) == each
        assert of_record(json.loads(json.dumps(record))) == each
        assert of_record(yaml.safe_load(yaml.safe_dump(record))) == each
        assert as_record(of_record(record)) == record


def record_after(hours: int) -> dict[str, Any]:
    return as_record(folded([CALM] * hours, CONFIG)[-1])


def spoilt(path: str, value: object) -> dict[str, Any]:
    record = record_after(5)
    node: Any = record
    *parts, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in parts:
        node = node[part]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        ("hour", ..., "hour", "missing"),
        ("more", 1, "more", "nexpected"),
        ("gates.0.more", 1, "gates.0.more", "nexpected"),
        ("gates.0.details.0.more", 1, "gates.0.details.0.more", "nexpected"),
        ("gates.0.status", "OPEN", "gates.0.status", "'OPEN'"),
        ("gates.0.streak", "3", "gates.0.streak", "'3'"),
        ("gates.0.streak", -1, "gates.0.streak", "-1 is negative"),
        ("gates.0.passed_at", None, "gates.0.passed_at", "None in a gate that is PASSED"),
        ("gates.1.passed_at", "2026-02-02T18:00:00Z", "gates.1.passed_at", "in a gate that is FAILED"),
        ("gates.0.status", "FAILED", "gates.0.passed_at", "in a gate that is FAILED"),
        ("gates.1.status", "NOT_EVALUATED", None, ""),
        ("gates.2.status", "FAILED", "gates.2.status", "FAILED while mean_reversion_return is FAILED"),
        ("gates.1.name", "tradable_volatility", "gates.1.name", "expected mean_reversion_return"),
        ("gates.0.details.0.held", 1, "gates.0.details.0.held", "valid boolean"),
        ("gates.0.details.0.value", "x", "gates.0.details.0.value", "'x'"),
        ("gates", [], "gates", ""),
        ("lower", None, "upper", "known together"),
        ("upper", None, "upper", "known together"),
        ("upper", 99.0, "upper", "99.0 is below lower 100.0"),
        ("upper", 100.0, None, ""),
        ("atr", None, None, ""),
        ("transition_bars", -1, "transition_bars", "-1 is negative"),
        ("transition_bars", 0, None, ""),
        ("hour", "2026-02-02 14:00", "hour", "not an hour"),
        ("stopped_at", "yesterday", "stopped_at", "not an instant"),
        ("atr", float("nan"), "", ""),
        ("atr", {1, 2}, "", "not JSON serializable"),
    ],
)
def test_a_record_that_was_tampered_with_is_refused_by_name(
    path: str, value: object, field: str | None, problem: str
):
    """Kind, presence, order and sense; what could have been written is taken."""
    record = spoilt(path, value)
    if field is None:
        assert as_record(of_record(record)) == record
        return
    with pytest.raises(DataInvalid) as refused:
        of_record(record, "metrics/ETH-USDT.yaml")
    assert refused.value.where == "metrics/ETH-USDT.yaml"
    assert refused.value.field.startswith(field)
    assert problem in refused.value.problem


def test_of_several_faults_the_first_is_named():
    """In the order of the fields."""
    with pytest.raises(DataInvalid) as refused:
        of_record(spoilt("lower", "low") | {"hour": 14, "transition_bars": "two"})
    assert refused.value.field == "hour"


@pytest.mark.parametrize("record", [None, [], "x", 3])
def test_what_is_no_mapping_is_refused(record: object):
    """Not an error of Python."""
    with pytest.raises(DataInvalid):
        of_record(record)
