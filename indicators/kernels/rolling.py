"""Windows over rows, for all series at once.

Arrays have shape (bars, series), newest row last. ``highest`` and ``lowest`` give complete windows only: row i is the
window over rows i to i + width - 1, the result is shorter than the input by width - 1, and a window with NaN is NaN.
Where only the newest window is wanted, hand over only its rows: ``highest(high[-20:], 20)[-1]``. ``tail_*`` reduce all
rows they are given, ``moving_*`` keep the shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .dispatch import in_lanes
from .stretches import stretches

if TYPE_CHECKING:
    from ..contract import Floats, Ints


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
    return _extreme(_padded(values, width - 1), width, np.fmax)


def _padded(values: Floats, rows: int) -> Floats:
    return np.concatenate([np.full((rows, *values.shape[1:]), np.nan), values])


@in_lanes
def moving_sum(values: Floats, width: int, first: Ints, rows: int | None = None) -> tuple[Floats, Floats]:
    """Sum and mean of the last ``width`` rows of each series (fewer at its beginning), each of shape (rows, series).

    A compensated running sum: for each row the value that leaves the window is taken off, then the new one is added,
    with one compensation for each of the two. A direct sum is as good to 1e-15, but the mean of prices with few
    decimals often lies half-way between two rounded values, and there this order of evaluation is what the readers'
    values come from. A window of equal values has exactly their value as mean, and its multiple as sum.

    Args:
        values: shape (bars, series), or (bars, variants, series), without NaN from ``first`` on.
        width: rows in a window.
        first: row of each series' first value, never falling from column to column.
        rows: newest rows to return; None: all.

    Source: Kahan, Further Remarks on Reducing Truncation Errors (1965).
    """
    kept = len(values) if rows is None else min(rows, len(values))
    skipped = len(values) - kept
    sums = np.full((kept, *values.shape[1:]), np.nan)
    total, lost_adding, lost_removing, change, grown = (np.zeros(values.shape[1:]) for _ in range(5))
    for start, stop, (begun, full) in stretches(len(values), first, first + width):
        running, lost, room, next_ = (a[..., :begun] for a in (total, lost_adding, change, grown))
        before, lost_before, room_before, next_before = (a[..., :full] for a in (total, lost_removing, change, grown))
        for row in range(start, stop):
            if full:
                gone = values[row - width, ..., :full]
                _compensated(np.subtract, np.add, before, lost_before, gone, room_before, next_before)
            _compensated(np.add, np.subtract, running, lost, values[row, ..., :begun], room, next_)
            if row >= skipped:
                sums[row - skipped, ..., :begun] = running
    count = np.clip(np.arange(skipped, len(values))[:, None] - first + 1, 1, width)
    if values.ndim == 3:
        count = count[:, None]
    recent = _padded(values, width - 1)[skipped:]
    constant = _extreme(recent, width, np.fmax) == _extreme(recent, width, np.fmin)
    newest = values[skipped:]
    return np.where(constant, newest * count, sums), np.where(constant, newest, sums / count)


def _compensated(
    apply: np.ufunc, undo: np.ufunc, total: Floats, lost: Floats, values: Floats, change: Floats, grown: Floats
) -> None:
    """Add values to running totals (or take them off), in place, carrying over what the last time lost."""
    undo(values, lost, out=change)
    apply(total, change, out=grown)
    np.subtract(grown, total, out=lost)
    undo(lost, change, out=lost)
    total[...] = grown


def moving_mean(values: Floats, width: int, first: Ints, rows: int | None = None) -> Floats:
    """Mean of the last ``width`` rows of each series (fewer at its beginning), shape (rows, series); see moving_sum."""
    return moving_sum(values, width, first, rows)[1]


@in_lanes
def tail_sum(values: Floats) -> Floats:
    """Sum of all rows but NaN, shape (series,).

    Row after row: NumPy's sum of a lone column takes another order than that of a column among others, and then a
    series alone would differ in its last bit from the same series among others.
    """
    missing = np.isnan(values)
    present = np.where(missing, 0.0, values) if missing.any() else values
    alone = present[0].size == 1
    return np.cumsum(present, axis=0)[-1] if alone else np.add.reduce(np.ascontiguousarray(present), axis=0)


def tail_mean(values: Floats) -> Floats:
    """Mean of all rows but NaN, shape (series,); the mean of equal values is exactly that value."""
    count = (~np.isnan(values)).sum(axis=0)
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    return np.where(low == high, low, tail_sum(values) / np.where(count == 0, np.nan, count))


@in_lanes
def tail_mean_std(values: Floats, ddof: int = 1) -> tuple[Floats, Floats]:
    """Mean (see tail_mean) and standard deviation (see tail_std) of all rows but NaN, each of shape (series,)."""
    count = (~np.isnan(values)).sum(axis=0)
    mean = tail_mean(values)
    deviations = values - mean
    return mean, np.sqrt(tail_sum(deviations * deviations) / np.where(count > ddof, count - ddof, np.nan))


def tail_std(values: Floats, ddof: int = 1) -> Floats:
    """Standard deviation of all rows but NaN in two passes, shape (series,); exactly 0 where all values are equal.

    ``ddof`` is 1 for a sample, 0 for a population. NaN where no more than ``ddof`` values are left.
    """
    return tail_mean_std(values, ddof)[1]


@in_lanes
def tail_median(values: Floats) -> Floats:
    """Median of all rows, shape (series,)."""
    return np.median(values, axis=0)


@in_lanes
def tail_products(values: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Sums over all rows but NaN of the squared deviations from the mean, and of both deviations' products.

    Of two arrays that have NaN at the same rows; each of shape (series,).
    """
    deviations = values - tail_mean(values)
    return tail_sum(deviations * deviations), tail_sum(deviations * (others - tail_mean(others)))


@in_lanes
def running_sums(values: Floats, rows: Ints) -> Floats:
    """Sums from the first row up to some rows of each series, 0 where the row is -1; shape of ``rows``."""
    sums = np.cumsum(values, axis=0)
    return np.where(rows < 0, 0.0, np.take_along_axis(sums, np.maximum(rows, 0), axis=0))


@in_lanes
def oldest(values: Floats, count: int, first: Ints) -> Floats:
    """The first rows of each series, NaN where it has fewer; shape (count, series)."""
    rows = first + np.arange(count)[:, None]
    found = np.take_along_axis(values, np.minimum(rows, len(values) - 1), axis=0)
    return np.where(rows < len(values), found, np.nan)
