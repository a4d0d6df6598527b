"""Numbers as a reader wants them: exact amounts rounded once, signs told, foreign text made harmless."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

NOTHING = "–"
GAP = "\u00a0"  # between a number and its unit: they stay on one line
_CENT = Decimal("0.01")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


@dataclass(frozen=True, slots=True)
class Told:
    """A figure: what is read, and exactly what the result holds."""

    text: str
    exact: str = ""
    loss: bool = False


def amount(value: Decimal, *, signed: bool = False) -> str:
    """Return an amount with thousands separators and two decimals; less than half a cent keeps two digits."""
    with localcontext() as context:
        context.prec = 80
        shown = value.quantize(_CENT, rounding=ROUND_HALF_EVEN)
        if shown == 0 and value != 0:
            shown = value.quantize(Decimal(1).scaleb(value.adjusted() - 1), rounding=ROUND_HALF_EVEN)
        return _signed(f"{shown:+,f}" if signed else f"{shown:,f}", shown == 0)


def gain(value: Decimal) -> Told:
    """Return a signed amount."""
    return Told(amount(value, signed=True), f"{value:f}", value < 0)


def worth(value: Decimal) -> Told:
    """Return an amount without a sign for what is more than 0."""
    return Told(amount(value), f"{value:f}", value < 0)


def percent(share: float | None, decimals: int = 1, *, signed: bool = False) -> Told:
    """Return a share in percent."""
    if share is None:
        return Told(NOTHING)
    form = f"{'+' if signed else ''},.{decimals}f"
    text = _signed(format(100 * share, form), float(format(100 * share, f".{decimals}f")) == 0)
    return Told(f"{text}{GAP}%", repr(share), share < 0)


def number(value: float | None, decimals: int = 2, *, signed: bool = False) -> Told:
    """Return a figure without a unit."""
    if value is None:
        return Told(NOTHING)
    shown = format(value, f"{'+' if signed else ''},.{decimals}f")
    return Told(_signed(shown, float(f"{value:.{decimals}f}") == 0), repr(value), value < 0)


def count(value: int, what: str = "") -> str:
    """Return how many of what: `1 trade`, `1,200 trades`."""
    return f"{value:,}" + (f"{GAP}{what}{'' if value == 1 else 's'}" if what else "")


def words(code: str) -> str:
    """Return a code as words: `always_on_grid` is read `always on grid`."""
    return harmless(code.replace("_", " "))


def harmless(text: str) -> str:
    """Return foreign text without what no reader sees: control characters, marks that turn a line around."""
    spaced = " ".join(text.split())
    return "".join("\ufffd" if unicodedata.category(each) in _HIDDEN else each for each in spaced)


def shortened(text: str, most: int = 18) -> str:
    """Return foreign text for a chart; the table beside it has all of it."""
    plain = harmless(text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _signed(text: str, zero: bool) -> str:  # noqa: FBT001
    return text.lstrip("+-") if zero else text.replace("-", "−")
