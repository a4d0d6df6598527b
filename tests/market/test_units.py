from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ValueOutOfRange
from market.units import (
    all_scaled,
    from_scaled,
    parse_decimal,
    plain,
    price_scale_for,
    quantized,
    scale_for,
    to_scaled,
)

PRICES = st.decimals(min_value=0, max_value=10**7, places=8, allow_nan=False, allow_infinity=False)


@given(PRICES)
def test_property_75_price_round_trip_is_exact(price):
    """75: decimal string -> integer -> decimal loses nothing."""
    value = parse_decimal(plain(price))
    scale = scale_for([value], 100)
    assert from_scaled(to_scaled(value, scale), scale) == price


@pytest.mark.parametrize(
    ("increment", "scale"),
    [("0.01", 100), ("0.1", 100), ("1", 100), ("0.0001", 10**4), ("0.00000001", 10**8), ("0.00005", 10**5)],
)
def test_the_price_scale_is_100_unless_the_tick_needs_more(increment, scale):
    """A coin below a cent would lose its price at scale 100."""
    assert price_scale_for(Decimal(increment)) == scale


def test_a_value_outside_64_bits_is_an_error_that_names_where():
    """A wrapped integer would be a wrong price; the error names market and minute."""
    with pytest.raises(ValueOutOfRange, match=r"ETH-USDT 2026-02-02T14 minute 7: volume: .* outside 64 bits"):
        to_scaled(Decimal(10) ** 18, 100, "ETH-USDT 2026-02-02T14 minute 7", "volume")


def test_an_inexact_value_is_refused_never_rounded():
    """Nothing is rounded on its way into a file."""
    with pytest.raises(ValueOutOfRange, match="not a multiple"):
        to_scaled(Decimal("0.001"), 100)
    with pytest.raises(ValueOutOfRange, match="18 decimals"):
        scale_for([Decimal("1e-19")])


@given(st.lists(st.decimals(-(10**8), 10**8, places=9) | PRICES, max_size=6), st.integers(0, 10))
def test_a_column_at_once_is_its_values_one_by_one(values, digits):
    """The scale is the least that holds them all; what one refuses, the column refuses."""
    scale = scale_for(values, 10**digits)
    wanted = max([digits, *(max(0, -value.normalize().as_tuple().exponent) for value in values)])
    assert scale == 10**wanted
    assert all_scaled(values, scale) == [to_scaled(value, scale) for value in values]
    assert wanted == digits or all_scaled(values, scale // 10) is None
    assert all_scaled([Decimal(10) ** 18, *values], 10 * scale) is None


@pytest.mark.parametrize("text", ["", "abc", "NaN", "Infinity", "1,5", "0x10"])
def test_what_is_not_a_number_is_refused(text):
    """An exchange's malformed price never becomes a number."""
    with pytest.raises(ValueError, match="number"):
        parse_decimal(text)


def test_plain_writes_what_exchanges_write():
    """No exponents, no trailing zeros."""
    assert [plain(Decimal(x)) for x in ("1E+3", "0.10", "1e-8", "100")] == [
        "1000",
        "0.1",
        "0.00000001",
        "100",
    ]
    assert quantized(Decimal("0.123456789012345"), 8) == Decimal("0.12345679")
