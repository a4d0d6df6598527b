"""A result as JSON: exact, the same twice, and read back only as what it is."""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from backtest.result import read_result
from market.errors import DataInvalid
from tests.backtest.samples import sample_result


def test_a_result_reads_back_as_it_was_written():
    """What a report reads is what the engine found, to the byte on a second writing."""
    result = sample_result()
    data = result.as_bytes()
    assert data == sample_result().as_bytes()
    assert read_result(data, "result.json") == result.as_value()


def test_every_series_has_a_value_an_hour():
    """Charts may zip them."""
    value = sample_result().as_value()
    lengths = {len(value[name]) for name in ("hours", "nav", "exposure")}
    assert lengths | {len(each) for each in value["baselines"].values()} == {72}


def test_the_parts_of_the_net_add_up():
    """Edge less slippage less fees is the net of the trades; with what is still open it is the account's."""
    net = sample_result().as_value()["analytics"]["net"]
    found = {name: Decimal(text) for name, text in net.items() if name != "n"}
    assert found["edge"] - found["slippage"] - found["fees"] == found["after_fees"]
    assert found["after_fees"] + found["fees"] == found["before_fees"]
    assert found["after_fees"] + found["open"] == found["account"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema_version": 1}, "schema_version"),
        ({"surplus": 1}, "surplus"),
        ({"nav": None}, "nav"),
    ],
)
def test_another_form_is_refused_by_the_name_of_the_field(change, field):
    """A missing, an unknown field, another version: named."""
    value = {**sample_result().as_value(), **change}
    value = {name: each for name, each in value.items() if each is not None or name == "bracket"}
    with pytest.raises(DataInvalid, match=field):
        read_result(orjson.dumps(value), "result.json")


def test_what_is_no_result_is_said_so():
    """Neither text that is no JSON nor a list passes."""
    for data in (b"{", b"[]"):
        with pytest.raises(DataInvalid, match="result"):
            read_result(data, "result.json")
