"""Decimal values as scaled 64-bit integers: value x scale, exactly, never through a float.

A scale is a power of ten. Prices use at least 100 and as much more as the market's price
increment needs; volumes and turnovers use the smallest scale that holds every value of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from market.errors import ValueOutOfRange

DEFAULT_PRICE_SCALE = 100
INT64_MAX = 2**63 - 1
MAX_DECIMALS = 18  # 10**18 is the largest power of ten below 2**63


def parse_decimal(text: str) -> Decimal:
    """Return the finite decimal number that `text` writes.

    Raises:
        ValueError: Not a finite decimal number.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value


def decimals(value: Decimal) -> int:
    """Return how many digits after the point `value` needs (trailing zeros not counted)."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def scale_for(values: Iterable[Decimal], at_least: int = 1) -> int:
    """Return the smallest power of ten, `at_least` or more, that holds every value exactly.

    Raises:
        ValueOutOfRange: A value needs more than 18 digits after the point.
    """
    kept, scale = list(values), at_least
    while (value := _first_in_parts(kept, scale)) is not None:
        needed = max(decimals(value), len(str(scale)))  # more than the scale has, whatever was rounded
        if needed > MAX_DECIMALS:
            raise ValueOutOfRange("scale", "", f"{value} needs more than {MAX_DECIMALS} decimals")
        scale = 10**needed
    return scale


def _first_in_parts(values: Sequence[Decimal], scale: int) -> Decimal | None:
    """Return the first value that is no whole number of 1/`scale`; whole columns are asked at once."""
    scaled = list(map(Decimal(scale).__mul__, values))
    whole = list(map(int, scaled))
    if whole == scaled:
        return None
    return next(value for value, found, exact in zip(values, whole, scaled, strict=True) if found != exact)


def price_scale_for(increment: Decimal) -> int:
    """Return the scale of a market's prices: 100 unless its price increment needs more."""
    return scale_for([increment], DEFAULT_PRICE_SCALE)


def to_scaled(value: Decimal, scale: int, where: str = "value", field: str = "") -> int:
    """Return `value` x `scale` as an integer.

    Raises:
        ValueOutOfRange: Not exact at this scale, or outside int64; names `where` and `field`.
    """
    scaled = value * scale
    whole = int(scaled)
    if whole != scaled:
        raise ValueOutOfRange(where, field, f"{value} is not a multiple of 1/{scale}")
    if abs(whole) > INT64_MAX:
        raise ValueOutOfRange(where, field, f"{value} x {scale} is outside 64 bits")
    return whole


def all_scaled(values: Sequence[Decimal], scale: int) -> list[int] | None:
    """Return each value x `scale` as `to_scaled` does, all at once; None where it refuses one of them."""
    scaled = list(map(Decimal(scale).__mul__, values))
    whole = list(map(int, scaled))
    return whole if whole == scaled and max(map(abs, whole), default=0) <= INT64_MAX else None


def from_scaled(scaled: int, scale: int) -> Decimal:
    """Return the exact decimal value of a stored integer."""
    return Decimal(scaled) / scale


def quantized(value: Decimal, places: int) -> Decimal:
    """Return `value` rounded half to even to `places` decimals (for sources that publish float noise)."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)


def plain(value: Decimal) -> str:
    """Return `value` without exponent and trailing zeros: the form that exchanges use."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
