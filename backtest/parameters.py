"""Parameter sets of a sweep: `levels=5..60:5,width=4/8/12` written out, each set with its name."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from grid.geometry import FEWEST_LEVELS, MOST_LEVELS, Spacing
from market.errors import ConfigInvalid
from market.units import plain

PPM_OF_PERCENT = 10_000
MOST_SETS = 1_000_000
LARGEST = 1_000_000  # beyond any value of a parameter
PARAMETERS = ("spacing", "levels", "width", "stop")
NEVER = "none"
_DEFAULTS = {"spacing": Spacing.GEOMETRIC.value, "stop": NEVER}


@dataclass(frozen=True, slots=True, order=True)
class ParameterSet:
    """One grid's rule, applied anew wherever a period starts.

    Attributes:
        levels: Cells.
        width_ppm: From the lower to the upper bound, parts per million of the start price, half on each side.
        stop_ppm: How far the stop-loss lies below the lower bound, ppm of it; 0 for none.
    """

    spacing: Spacing
    levels: int
    width_ppm: int
    stop_ppm: int = 0

    @property
    def name(self) -> str:
        """Return the set as `--grid` takes it."""
        stop = _percent(self.stop_ppm) if self.stop_ppm else NEVER
        return f"spacing={self.spacing},levels={self.levels},width={_percent(self.width_ppm)},stop={stop}"


def parameter_sets(text: str) -> tuple[ParameterSet, ...]:
    """Return every combination of what `text` names, in order of spacing, levels, width and stop.

    Args:
        text: `NAME=VALUES,...` with `VALUES` one or several of `7`, `4/8/12` and `5..60:5`. `levels` counts
            cells, `width` is percent of the start price, `stop` percent below the lower bound or `none`.

    Raises:
        ConfigInvalid: Names the parameter, what was found and what was expected; all problems at once.
    """
    told, problems = _told(text)
    for name in PARAMETERS:
        if name not in told and name in _DEFAULTS:
            told[name] = _DEFAULTS[name]
    problems += [f"--grid: {name} is missing, expected {name}=..." for name in PARAMETERS if name not in told]
    if problems:
        raise ConfigInvalid(*problems)
    columns: list[list[int]] = []
    for name in PARAMETERS[1:]:
        try:
            columns.append(_values(name, told[name]))
        except ValueError as error:
            problems.append(f"--grid: {name}: {error}")
    try:
        spacings = sorted({Spacing(value) for value in told["spacing"].split("/")})
    except ValueError:
        problems.append(f"--grid: spacing: {told['spacing']!r}, expected {'/'.join(Spacing)}")
    if problems:
        raise ConfigInvalid(*problems)
    count = len(spacings) * math.prod(map(len, columns))
    if count > MOST_SETS:
        raise ConfigInvalid(f"--grid: {count:,} sets, expected {MOST_SETS:,} at most")
    levels, widths, stops = columns
    return tuple(
        ParameterSet(spacing, *values)
        for spacing in spacings
        for values in itertools.product(levels, widths, stops)
    )


def _told(text: str) -> tuple[dict[str, str], list[str]]:
    told: dict[str, str] = {}
    problems = []
    for part in text.split(","):
        name, equals, values = (piece.strip() for piece in part.partition("="))
        if not equals or not values:
            problems.append(f"--grid: {part.strip()!r}, expected NAME=VALUES")
        elif name not in PARAMETERS:
            problems.append(f"--grid: {name!r} is no parameter; there are {', '.join(PARAMETERS)}")
        elif name in told:
            problems.append(f"--grid: {name} is named twice")
        else:
            told[name] = values
    return told, problems


def _values(name: str, text: str) -> list[int]:
    """Return the values of a parameter in its own unit, rising, each once."""
    found: set[int] = set()
    for part in text.split("/"):
        first, dots, rest = part.partition("..")
        if not dots:
            found.add(_value(name, part))
            continue
        last, colon, step = rest.partition(":")
        low, high = _value(name, first), _value(name, last)
        if low > high:
            raise ValueError(f"{part!r} falls, expected FIRST..LAST:STEP")
        each = _scaled(name, step) if colon else _scaled(name, "1")
        if each <= 0:
            raise ValueError(f"{part!r}, expected a step above 0")
        if (high - low) // each >= MOST_SETS:
            raise ValueError(f"{part!r} has more than {MOST_SETS:,} values")
        found.update(range(low, high + 1, each))
    return sorted(found)


def _value(name: str, text: str) -> int:
    if name == "stop" and text == NEVER:
        return 0
    value = _scaled(name, text)
    if name == "levels" and not FEWEST_LEVELS <= value <= MOST_LEVELS:
        raise ValueError(f"{text}, expected {FEWEST_LEVELS} to {MOST_LEVELS}")
    if name == "width" and not 0 < value < 200 * PPM_OF_PERCENT:
        raise ValueError(f"{text}, expected percent above 0 and below 200")
    if name == "stop" and not 0 < value < 100 * PPM_OF_PERCENT:
        raise ValueError(f"{text}, expected {NEVER}, or percent above 0 and below 100")
    return value


def _scaled(name: str, text: str) -> int:
    kind = "a whole number" if name == "levels" else "percent with at most 4 decimals"
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text.strip()!r}, expected {kind}") from None
    if value.is_finite() and abs(value) <= LARGEST:
        scaled = value if name == "levels" else value * PPM_OF_PERCENT
        if scaled == int(scaled):
            return int(scaled)
    raise ValueError(f"{text.strip()!r}, expected {kind}")


def _percent(ppm: int) -> str:
    return plain(Decimal(ppm) / PPM_OF_PERCENT)


def digest_text(sets: Sequence[ParameterSet]) -> bytes:
    """Return what names the sets and their order, for a digest."""
    return "\n".join(each.name for each in sets).encode()
