"""One version of a grid: bounds, levels, spacing, amounts. What cannot work cannot be constructed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from grid.geometry import FEWEST_LEVELS, MOST_LEVELS, Spacing
from market.errors import DataInvalid
from market.units import MAX_DECIMALS, decimals

GRID_ID_FORM = r"[A-Za-z0-9][A-Za-z0-9._-]*"
MOST = Decimal(10) ** 15  # beyond any price or amount; keeps scaled numbers sane
_GRID_ID = re.compile(GRID_ID_FORM)


class GridKind(StrEnum):
    """A grid under full confidence, or a smaller one on trial."""

    NORMAL = "normal"
    PROBATIONARY = "probationary"


@dataclass(frozen=True, slots=True)
class GridParameters:
    """One version of a grid; prices and amounts are exact quote values.

    Attributes:
        version: 1, 2, 3, ...
        levels: Number of cells (the exchange's "number of grids"), 2 to 200.
        amount_per_grid: What each buy spends, fee included.
        profit_pct: What the exchange's form showed as profit a grid, percent; for the operator's eye only.
        stop_loss: At or below it everything is sold; under `lower`.
        take_profit: At or above it the same; over `upper`.

    Raises:
        DataInvalid: Names the field: not positive, bounds not rising, too few or too many levels, an exit
            inside the bounds, or more digits than a scaled integer holds.
    """

    version: int
    lower: Decimal
    upper: Decimal
    levels: int
    spacing: Spacing
    amount_per_grid: Decimal
    profit_pct: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    def __post_init__(self) -> None:
        if self.version < 1:
            raise DataInvalid("grid", "version", f"{self.version}, expected 1 or more")
        for name in ("lower", "upper", "amount_per_grid", "profit_pct", "stop_loss", "take_profit"):
            _check_number(name, getattr(self, name))
        if self.lower >= self.upper:
            raise DataInvalid("grid", "upper", f"{self.upper}, expected more than lower {self.lower}")
        if not FEWEST_LEVELS <= self.levels <= MOST_LEVELS:
            raise DataInvalid("grid", "levels", f"{self.levels}, expected {FEWEST_LEVELS} to {MOST_LEVELS}")
        if self.stop_loss is not None and self.stop_loss >= self.lower:
            raise DataInvalid("grid", "stop_loss", f"{self.stop_loss}, expected below lower {self.lower}")
        if self.take_profit is not None and self.take_profit <= self.upper:
            raise DataInvalid("grid", "take_profit", f"{self.take_profit}, expected above upper {self.upper}")

    @property
    def centre(self) -> Decimal:
        return (self.lower + self.upper) / 2

    def same_ladder(self, other: GridParameters) -> bool:
        """Return whether both put their orders at the same prices, whatever the amounts and exits."""
        return (self.lower, self.upper, self.levels, self.spacing) == (
            other.lower,
            other.upper,
            other.levels,
            other.spacing,
        )


def checked_grid_id(text: str) -> str:
    """Return `text` if it may name a grid, and so a file.

    Raises:
        ValueError: Any other form.
    """
    if not _GRID_ID.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not a grid id; expected {GRID_ID_FORM}, for example eth-usdt-1")
    return text


def _check_number(name: str, value: Decimal | None) -> None:
    if value is None:
        return
    if not value.is_finite() or not 0 < value < MOST:
        raise DataInvalid("grid", name, f"{value}, expected more than 0 and less than {MOST}")
    if decimals(value) > MAX_DECIMALS:
        raise DataInvalid("grid", name, f"{value} has more than {MAX_DECIMALS} decimals")
