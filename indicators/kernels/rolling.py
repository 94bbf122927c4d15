"""Windows over rows, for all series at once.

Arrays have shape (bars, series), newest row last. ``highest`` and ``lowest`` give complete windows only: row i is the
window over rows i to i + width - 1, the result is shorter than the input by width - 1, and a window with NaN is NaN.
Where only the newest window is wanted, hand over only its rows: ``highest(high[-20:], 20)[-1]``. ``tail_*`` reduce all
rows they are given, ``moving_*`` keep the shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indicators.kernels.under_way import steps

if TYPE_CHECKING:
    from indicators.contract import Floats, Ints


def _extreme(values: Floats, width: int, larger: np.ufunc) -> Floats:
    if not 1 <= width <= len(values):
        raise ValueError(f"a window of {width} rows over {len(values)} rows")
    # The extreme of a window is the extreme of two overlapping halves, so widths double from step to step.
    extreme, covered = values, 1
    while covered < width:
        step = min(covered, width - covered)
        extreme, covered = larger(extreme[:-step], extreme[step:]), covered + step
    return extreme


def highest(values: Floats, width: int) -> Floats:
    """Maximum of each window of ``width`` rows, shape (bars - width + 1, series). Raises ValueError if too wide."""
    return _extreme(values, width, np.maximum)


def lowest(values: Floats, width: int) -> Floats:
    """Minimum of each window of ``width`` rows, shape (bars - width + 1, series). Raises ValueError if too wide."""
    return _extreme(values, width, np.minimum)


def highest_so_far(values: Floats, width: int) -> Floats:
    """Maximum of the last ``width`` rows but NaN, of fewer at the beginning; shape (bars, series)."""
    padding = np.full((width - 1, values.shape[1]), np.nan)
    return _extreme(np.concatenate([padding, values]), width, np.fmax)


def moving_sum(values: Floats, width: int, first: Ints) -> tuple[Floats, Floats]:
    """Sum and mean of the last ``width`` rows of each series (fewer at its beginning), each of shape (bars, series).

    A compensated running sum: for each row the value that leaves the window is taken off, then the new one is added,
    with one compensation for each of the two. A direct sum is as good to 1e-15, but the mean of prices with few
    decimals often lies half-way between two rounded values, and there this order of evaluation is what the readers'
    values come from. A window of equal values has exactly their value as mean, and its multiple as sum.

    Args:
        values: shape (bars, series), or (bars, variants, series), without NaN from ``first`` on.
        width: rows in a window.
        first: row of each series' first value, never falling from column to column.

    Source: Kahan, Further Remarks on Reducing Truncation Errors (1965).
    """
    sums, means = np.full_like(values, np.nan), np.full_like(values, np.nan)
    total, lost_adding, lost_removing = (np.zeros(values.shape[1:]) for _ in range(3))
    equal = np.zeros(values.shape[1:], dtype=np.int64)
    under_way: list[int] = []
    for row, before, now in steps(first, len(values)):
        under_way.append(now)
        if len(under_way) > width:
            leaving = under_way[-width - 1]
            gone = -values[row - width, ..., :leaving]
            _compensated_add(total[..., :leaving], lost_removing[..., :leaving], gone)
        new = values[row, ..., :now]
        _compensated_add(total[..., :now], lost_adding[..., :now], new)
        same = new[..., :before] == values[row - 1, ..., :before]
        equal[..., :before] = np.where(same, equal[..., :before] + 1, 1)
        equal[..., before:now] = 1
        count = np.minimum(row + 1 - first[:now], width)
        constant = equal[..., :now] >= count
        sums[row, ..., :now] = np.where(constant, new * count, total[..., :now])
        means[row, ..., :now] = np.where(constant, new, total[..., :now] / count)
    return sums, means


def moving_mean(values: Floats, width: int, first: Ints) -> Floats:
    """Mean of the last ``width`` rows of each series (fewer at its beginning), shape (bars, series); see moving_sum."""
    return moving_sum(values, width, first)[1]


def _compensated_add(total: Floats, lost: Floats, values: Floats) -> None:
    """Add values to running totals in place, carrying over what the addition before lost."""
    values = values - lost
    grown = total + values
    np.subtract(grown, total, out=lost)
    lost -= values
    total[...] = grown


def tail_sum(values: Floats) -> Floats:
    """Sum of all rows but NaN, shape (series,).

    Row after row: NumPy's own sum takes another order for another layout, and then a series alone would differ in its
    last bit from the same series among others.
    """
    return np.cumsum(np.where(np.isnan(values), 0.0, values), axis=0)[-1]


def tail_mean(values: Floats) -> Floats:
    """Mean of all rows but NaN, shape (series,); the mean of equal values is exactly that value."""
    count = (~np.isnan(values)).sum(axis=0)
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    return np.where(low == high, low, tail_sum(values) / np.where(count == 0, np.nan, count))


def tail_std(values: Floats, ddof: int = 1) -> Floats:
    """Standard deviation of all rows but NaN in two passes, shape (series,); exactly 0 where all values are equal.

    ``ddof`` is 1 for a sample, 0 for a population. NaN where no more than ``ddof`` values are left.
    """
    count = (~np.isnan(values)).sum(axis=0)
    deviations = values - tail_mean(values)
    return np.sqrt(tail_sum(deviations * deviations) / np.where(count > ddof, count - ddof, np.nan))
