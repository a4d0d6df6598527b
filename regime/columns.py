"""Rolling windows whose results do not depend on how many rows are computed together.

Live adds one row, batch computes thousands; both must give the same bits. So sums run strictly from the
oldest value to the newest (`accumulate` cannot regroup as `sum` does), order statistics come from sorting,
and logarithms are made here of sums, products and quotients, which IEEE 754 leaves no choice: a library's
may differ between machines, and between its vector and its scalar loops.

Sums over long windows roll: a bar comes in, a bar goes out. They start anew every `RESTART` rows, counted
from the first row that has a whole window, so they do not drift and a row needs only the rows of its block.
"""

from __future__ import annotations

import numpy as np

from market.candles import Floats

RESTART = 1024
ROOT_HALF_BITS = 0x3FE6A09E667F3BCD  # of sqrt(1/2): mantissas are brought to [sqrt(1/2), sqrt(2))
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# fdlibm's e_log.c: the remainder of ln(1 + f), s = f / (2 + f), in powers of s * s
LN_EVEN = (3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01)
LN_ODD = (
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)


def windows_ending(values: Floats, length: int, first: int) -> Floats:
    """Return the windows that end at rows `first` and later, shape (rows, length), as views.

    Rows before `length - 1` have no whole window and are left out.
    """
    start = max(first - length + 1, 0)
    if values.shape[0] - start < length:
        return np.empty((0, length), dtype=np.float64)
    return overlapping(values[start:], length)


def overlapping(values: Floats, length: int) -> Floats:
    """Return every `length` neighbours, shape (n - length + 1, length), as views that cannot be written.

    As NumPy's `sliding_window_view`, without the checks that it makes: every hour lays out dozens.
    """
    values = np.ascontiguousarray(values)
    shape, step = (values.shape[0] - length + 1, length), values.itemsize
    windows = np.ndarray(shape, values.dtype, values, strides=(step, step))
    windows.flags.writeable = False
    return windows


def sums(windows: Floats) -> Floats:
    """Return the sum of each window, oldest value first, shape (rows,)."""
    totals: Floats = np.add.accumulate(windows, axis=-1)[..., -1]
    return totals


def means(windows: Floats) -> Floats:
    """Return the mean of each window; exact where all its values are equal."""
    start = windows[:, 0]
    found: Floats = start + sums(windows - start[:, None]) / windows.shape[1]
    return found


def deviations_from_mean(windows: Floats) -> Floats:
    """Return each window minus its mean, exactly 0 where all its values are equal."""
    shifted = windows - windows[:, :1]
    apart: Floats = shifted - (sums(shifted) / windows.shape[1])[:, None]
    return apart


def medians(windows: Floats) -> Floats:
    """Return the median of each window, the mean of the middle two for an even length; NaN if any is NaN."""
    ordered = np.sort(windows, axis=-1)
    length = ordered.shape[-1]
    middle = (
        ordered[..., (length - 1) // 2] + (ordered[..., length // 2] - ordered[..., (length - 1) // 2]) / 2
    )
    return np.where(np.isnan(ordered[..., -1]), np.nan, middle)


def padded(found: Floats, rows: int) -> Floats:
    """Return a column of `rows` values that ends with `found`; NaN where there was no whole window."""
    column = np.full(rows, np.nan)
    if found.shape[0]:
        column[rows - found.shape[0] :] = found
    return column


def ratios(numerators: Floats, denominators: Floats) -> Floats:
    """Return numerator / denominator, NaN where the denominator is 0."""
    found = np.full(numerators.shape, np.nan)
    np.divide(numerators, denominators, out=found, where=denominators != 0)
    return found


def parts_of(length: int) -> tuple[int, ...]:
    """Return the powers of two that make up a length, largest first: 24 is 16 and 8."""
    return tuple(1 << bit for bit in reversed(range(length.bit_length())) if length >> bit & 1)


def paired_sums(values: Floats, length: int) -> Floats:
    """Return the sum of every `length` neighbours, shape (n - length + 1,): pairs, pairs of pairs and so on.

    Each window's sum is made of its own values only, in an order that does not depend on the others.
    """
    levels, size = {1: values}, 1
    while 2 * size <= length:
        levels[2 * size] = levels[size][:-size] + levels[size][size:]
        size *= 2
    rows, at = values.shape[0] - length + 1, 0
    total = np.zeros(rows)
    for part in parts_of(length):
        total = total + levels[part][at : at + rows]
        at += part
    return total


def blocks_ending(values: Floats, length: int, first: int) -> tuple[Floats, int]:
    """Return the blocks in which sums over `length` values roll, and the row of the first block.

    Args:
        values: From the anchor on, shape (n,).
        length: Of the windows.
        first: The first row that is wanted.

    Returns:
        Shape (blocks, length - 1 + RESTART): a block's rows, behind the values that its first window needs;
        rows after the newest repeat it. No block where there is no whole window.
    """
    start = length - 1
    block = max(first - start, 0) // RESTART
    rows = values.shape[0] - start - block * RESTART
    if rows <= 0:
        return np.empty((0, start + RESTART), dtype=np.float64), start
    blocks = -(-rows // RESTART)
    kept = values[block * RESTART :]
    whole = np.concatenate((kept, np.full(blocks * RESTART - rows, kept[-1])))
    return overlapping(whole, start + RESTART)[::RESTART], start + block * RESTART


def rolling_sums(blocks: Floats, length: int) -> Floats:
    """Return the sum of the last `length` values at each place from the first whole window on.

    Args:
        blocks: Shape (blocks, length - 1 + rows).
        length: Of the windows.

    Returns:
        Shape (blocks, rows): each block starts with its own plain sum and rolls on from there.
    """
    start = sums(blocks[:, :length])[:, None]
    steps = blocks[:, length:] - blocks[:, :-length]
    totals: Floats = np.add.accumulate(np.concatenate((start, steps), axis=1), axis=1)
    return totals


def from_blocks(found: Floats, start: int, first: int, rows: int) -> Floats:
    """Return a column of `rows` values from row `first` on; NaN where there was no whole window.

    Args:
        found: Shape (blocks, RESTART).
        start: Row of the first of them.
        first: The first row that is wanted.
        rows: How many rows are wanted.
    """
    column = np.full(rows, np.nan)
    whole = max(start, first)
    wanted = found.ravel()[whole - start : first + rows - start]
    column[whole - first : whole - first + wanted.shape[0]] = wanted
    return column


def log_ratios(values: Floats, base: float) -> Floats:
    """Return ln(value / base) of each value, to the last digit or two."""
    return logs(values * (1 / base))


def logs(values: Floats) -> Floats:
    """Return ln of each value, above 0 and not subnormal."""
    powers, mantissas = _split(values)
    return _log_of_parts(mantissas - 1.0, powers)


def logs_of_one_plus(values: Floats) -> Floats:
    """Return ln(1 + value) of each value in (-1, 0), to the last digit or two for small ones as well."""
    powers, mantissas = _split(1.0 + values)
    return _log_of_parts(np.where(powers == 0, values, mantissas - 1.0), powers)


def _split(values: Floats) -> tuple[Floats, Floats]:
    bits = values.view(np.int64)
    powers = (bits - ROOT_HALF_BITS) >> 52
    return powers.astype(np.float64), (bits - (powers << 52)).view(np.float64)


def _log_of_parts(f: Floats, powers: Floats) -> Floats:
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (LN_EVEN[0] + w * (LN_EVEN[1] + w * LN_EVEN[2]))
    odd = z * (LN_ODD[0] + w * (LN_ODD[1] + w * (LN_ODD[2] + w * LN_ODD[3])))
    half_square = 0.5 * f * f
    tail = s * (half_square + (odd + even)) + powers * LN2_LOW
    found: Floats = powers * LN2_HIGH - ((half_square - tail) - f)
    return found
