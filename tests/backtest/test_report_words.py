"""Numbers and foreign words as a reader sees them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.report_words import (
    NOTHING,
    amount,
    count,
    gain,
    harmless,
    number,
    percent,
    shortened,
    words,
    worth,
)


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        ("0", "0.00", "0.00"),
        ("-0", "0.00", "0.00"),
        ("1234567.891", "1,234,567.89", "+1,234,567.89"),
        ("-12.5", "−12.50", "−12.50"),
        ("0.005", "0.0050", "+0.0050"),
        ("-0.00001234", "−0.000012", "−0.000012"),
        ("0.00000001", "0.000000010", "+0.000000010"),
        ("2.675", "2.68", "+2.68"),
    ],
)
def test_amounts_are_rounded_once_and_small_ones_are_no_zero(value, plain, signed):
    """Two decimals; what they would hide keeps two digits."""
    assert amount(Decimal(value)) == plain
    assert amount(Decimal(value), signed=True) == signed


@given(st.decimals(-(10**30), 10**30, places=8))
def test_the_exact_amount_stands_behind_the_rounded_one(value):
    """Whatever is shown, nothing is lost."""
    for told in (gain(value), worth(value)):
        assert Decimal(told.exact) == value
        assert told.loss == (value < 0)
        shown = Decimal(told.text.replace(",", "").replace("−", "-"))
        assert abs(shown - value) <= Decimal("0.005")
        assert (shown == 0) == (value == 0)


def test_shares_and_figures_tell_what_is_unknown_and_no_minus_zero():
    """A dash is no figure."""
    assert percent(0.58333).text == "58.3\u00a0%"
    assert percent(-0.00001, 2, signed=True).text == "0.00\u00a0%"
    assert percent(0.5, 0, signed=True).text == "+50\u00a0%"
    assert percent(12.5).text == "1,250.0\u00a0%"
    assert number(-1234.5).text == "−1,234.50"
    assert number(-0.001).text == "0.00"
    assert number(1.0, 1, signed=True).text == "+1.0"
    for unknown in (percent(None), number(None)):
        assert (unknown.text, unknown.exact) == (NOTHING, "")
    assert float(percent(1 / 3).exact) == 1 / 3


def test_counts_have_their_plural():
    """One trade, many trades."""
    assert [count(n, "trade") for n in (0, 1, 1200)] == ["0\u00a0trades", "1\u00a0trade", "1,200\u00a0trades"]
    assert count(1200) == "1,200"


def test_what_no_reader_sees_becomes_visible():
    """Text that turns a line around, hides or breaks it cannot pretend to be another."""
    assert harmless("a\u202eb\u200bc\x00d\ud800") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert harmless(" two\n lines\t ") == "two lines"
    assert harmless("Ωμέγα · 日本 ✓") == "Ωμέγα · 日本 ✓"
    assert words("always_on_grid") == "always on grid"
    assert shortened("x" * 18) == "x" * 18
    assert shortened("x" * 19) == "x" * 17 + "…"
