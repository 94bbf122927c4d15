"""Recursions over time, vectorised over series.

Arrays have shape (bars, series) or (bars, variants, series), newest row last. ``first`` is the row at which each series
begins, shape (series,), never falling from column to column. Rows before a series begins are NaN in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from .dispatch import in_lanes
from .rolling import moving_mean, tail_mean
from .stretches import stretches

if TYPE_CHECKING:
    from ..contract import Bools, Floats, Ints


Number = TypeVar("Number", float, "Floats")

#: Series whose sums are worked on at once: their bars are in the processor's cache.
_BLOCK = 256
#: Sixteen rows ordered by whether they are the newer of a pair, of a pair of pairs, and so on.
_HALVES = sorted(range(16), key=lambda row: [~row >> step & 1 for step in range(4)])


@in_lanes
def ema(values: Floats, alpha: float | Floats, first: Ints, rows: int | None = None) -> Floats:
    """Exponential moving average seeded with the first value: y_t = y_{t-1} + alpha (x_t - y_{t-1}).

    This arrangement leaves a constant series exactly constant. Wilder's smoothing of period p is alpha = 1/p.

    Args:
        values: shape (bars, ..., series), without NaN from ``first`` on.
        alpha: weight of the newest value, 0 < alpha <= 1; an array that broadcasts with a row of values, such as one of
            shape (periods, 1), computes several at once.
        first: row of each series' first value.
        rows: newest rows to return; None: all.

    Returns:
        Shape (rows, ..., series), a row as broadcast.

    Source: Hunter, The Exponentially Weighted Moving Average (1986); the seed is that of charting packages.
    """
    if rows is not None and rows < len(values):
        return _newest_ema(values, alpha, first, rows)
    weights = _row_of(alpha, values)
    averages = np.empty((len(values), *weights.shape))
    averages[...] = _seeds(values, first)
    for start, stop, (begun,) in stretches(len(values), first + 1):
        results, before = averages[start:stop, ..., :begun], averages[start - 1 : stop - 1, ..., :begun]
        weight = weights[..., :begun]
        for new, old, result in zip(values[start:stop, ..., :begun], before, results, strict=True):
            np.subtract(new, old, out=result)
            result *= weight
            result += old
    _blank_before(averages, first)
    return averages


def _newest_ema(values: Floats, alpha: float | Floats, first: Ints, rows: int) -> Floats:
    """The newest rows of ``ema``, without a history in memory: one row is carried along, and kept at the end."""
    weights = _row_of(alpha, values)
    average, step = np.empty_like(weights), np.empty_like(weights)
    average[...] = _seeds(values, first)
    averages = np.empty((rows, *weights.shape))
    averages[...] = average
    skipped = len(values) - rows
    for start, stop, (begun,) in stretches(len(values), first + 1):
        old, change, weight = average[..., :begun], step[..., :begun], weights[..., :begun]
        for row, new in enumerate(values[start:stop, ..., :begun], start - skipped):
            np.subtract(new, old, out=change)
            change *= weight
            old += change
            if row >= 0:
                averages[row, ..., :begun] = old
    _blank_before(averages, first - skipped)
    return averages


def _row_of(alpha: float | Floats, values: Floats) -> Floats:
    """Alpha for each value of a row: to broadcast it anew at every step costs a quarter of the recursion's time."""
    row = np.empty(np.broadcast_shapes(values.shape[1:], np.shape(alpha)))
    row[...] = alpha
    return row


def ema_from_mean(values: Floats, period: int, alpha: float, first: Ints, rows: int | None = None) -> Floats:
    """EMA that begins with the mean of the first ``period`` values, in the row of the last of them; NaN before.

    With alpha 1 / period it is Wilder's smoothing. Arguments and result as of ``ema``; values of shape (bars, series)
    or (bars, variants, series).

    Source: Wilder, New Concepts in Technical Trading Systems (1978); TA-Lib begins every EMA so.
    """
    seeded = first + period - 1
    whole = int((seeded < len(values)).sum())
    series = np.arange(whole)
    begun = values.copy()
    seeds = tail_mean(values[first[:whole] + np.arange(period)[:, None], ..., series])
    begun[seeded[:whole], ..., series] = seeds
    return ema(begun, alpha, seeded, rows)


@in_lanes
def fading_sums(values: Floats, fading: Floats) -> Floats:
    """Sums of all rows, each times fading^age, for many fadings: EMAs that began with 0, but for the factor alpha.

    Halves are summed first, and halves of halves: the sum of 2k rows is that of the newest k plus fading^k times that
    of the k before. So the order is the same however many rows there are, and a sum over fewer is a part of it.

    Args:
        values: shape (bars, series), 0 before a series begins.
        fading: shape (fadings,), each from 0 to 1.

    Returns:
        Shape (fadings, series).
    """
    bars, series = values.shape
    # Bars in groups of 16, the members of a group ordered so that partners of each step are two halves of the array.
    groups = -(-bars // 16)
    padded = np.zeros((16 * groups, series))
    padded[16 * groups - bars :] = values
    ordered = padded.reshape(groups, 16, series)[:, _HALVES].transpose(1, 0, 2)
    found = np.empty((len(fading), series))
    for start in range(0, series, _BLOCK):
        rows = np.ascontiguousarray(ordered[..., start : start + _BLOCK])
        room = np.empty((8, *rows.shape[1:]))
        for place, factor in enumerate(fading.tolist()):
            sums = np.multiply(rows[8:], factor, out=room)
            sums += rows[:8]
            for half in (4, 2, 1):
                factor *= factor
                sums[half:] *= factor
                sums[:half] += sums[half:]
                sums = sums[:half]
            sums = sums[0]
            while len(sums) > 1:
                factor *= factor
                if len(sums) % 2:
                    sums = np.concatenate([np.zeros((1, rows.shape[-1])), sums])
                sums = sums[1::2] + factor * sums[::2]
            found[place, start : start + _BLOCK] = sums[0]
    return found


@in_lanes
def weighted_mean(values: Floats, alpha: float | Floats, first: Ints, rows: int | None = None) -> Floats:
    """Mean of all values so far with weights (1 - alpha)^k, newest k = 0; what an EMA is before its seed fades.

    Args:
        values: shape (bars, ..., series), without NaN from ``first`` on.
        alpha: 0 < alpha < 1; an array that broadcasts with a row of values and has 1 for the series computes several at
            once.
        first: row of each series' first value.
        rows: newest rows to return; None: all.

    Returns:
        Shape (rows, ..., series), a row as broadcast. A constant series stays exactly constant.
    """
    means = np.empty((len(values), *np.broadcast_shapes(values.shape[1:], np.shape(alpha))))
    means[...] = _seeds(values, first)
    fading = np.squeeze(1.0 - np.asarray(alpha), axis=-1) if np.ndim(alpha) else 1.0 - alpha
    sums = weight_sums(fading, len(values))
    # Series of one length share their weights.
    begins = first[:1] if (first == first[:1]).all() else first
    ages = np.maximum(np.arange(len(values))[:, None] - begins, 0)
    weights = np.moveaxis(sums[..., ages], -2, 0)
    for start, stop, (begun,) in stretches(len(values), first + 1):
        news = zip(values[start:stop, ..., :begun], weights[start:stop, ..., :begun], strict=True)
        results, before = means[start:stop, ..., :begun], means[start - 1 : stop - 1, ..., :begun]
        for (new, weight), old, result in zip(news, before, results, strict=True):
            np.subtract(new, old, out=result)
            result /= weight
            result += old
    _blank_before(means, first)
    return means if rows is None else means[-rows:]


def weight_sums(fading: float | Floats, count: int) -> Floats:
    """Sums of the weights fading^k of one value, of two, and so on: shape (..., count)."""
    sums = np.ones((*np.shape(fading), count))
    for age in range(1, count):
        sums[..., age] = sums[..., age - 1] * fading + 1.0
    return sums


@in_lanes
def smoothed(values: Floats, period: int, first: Ints, rows: int | None = None) -> Floats:
    """Smoothed moving average: the mean of the first ``period`` values, then (y_{t-1} (p - 1) + x_t) / p.

    The newest rows, None: all; shape (rows, series); NaN before the series has ``period`` values.
    """
    averages = np.full_like(values, np.nan)
    seeded = first + period - 1
    whole = int((seeded < len(values)).sum())
    if whole:
        beginnings = np.take_along_axis(values[:, :whole], first[:whole] + np.arange(period)[:, None], axis=0)
        seeds = moving_mean(beginnings, period, np.zeros(whole, dtype=np.int64), rows=1)
        averages[seeded[:whole], np.arange(whole)] = seeds[0]
    for start, stop, (begun,) in stretches(len(values), seeded + 1):
        results, before = averages[start:stop, :begun], averages[start - 1 : stop - 1, :begun]
        for new, old, result in zip(values[start:stop, :begun], before, results, strict=True):
            np.multiply(old, period - 1, out=result)
            result += new
            result /= period
    return averages if rows is None else averages[-rows:]


def _seeds(values: Floats, first: Ints) -> Floats:
    """The first value of each series, shape of a row of values; of one that has none, the last row's."""
    return values[np.minimum(first, len(values) - 1), ..., np.arange(len(first))].T.reshape(values.shape[1:])


def _blank_before(values: Floats, first: Ints) -> None:
    """Set NaN, in place, before each series' row."""
    for row in range(min(int(first.max(initial=0)), len(values))):
        values[row, ..., int(np.searchsorted(first, row, side="right")) :] = np.nan


def held(events: Ints) -> Ints:
    """The last event so far, 0 before the first: a state that holds until something happens. Shape (bars, series)."""
    rows = np.arange(len(events))[:, None]
    latest = np.maximum.accumulate(np.where(events != 0, rows, 0), axis=0)
    return np.take_along_axis(events, latest, axis=0)


def span(period: Number) -> Number:
    """The alpha of an EMA that is named by its span: 2 / (period + 1)."""
    return 2.0 / (period + 1.0)


def wilder(values: Floats, period: int, first: Ints) -> Floats:
    """Wilder's smoothing, seeded with the first value: y_t = y_{t-1} (1 - 1/p) + x_t / p. Shape (bars, series).

    Source: Wilder, New Concepts in Technical Trading Systems (1978).
    """
    return ema(values, 1.0 / period, first)


def ema_over_gaps(values: Floats, alpha: float, minimum: int, first: Ints) -> Floats:
    """EMA that keeps its value over NaN and lets the old value fade meanwhile.

    After k NaN rows the old value has weight (1 - alpha)^(k + 1) against alpha for the new one. NaN until ``minimum``
    values were seen; infinity counts as NaN. ``first`` is the row of each series' first value. Shape (bars, series).
    """
    usable = np.isfinite(values)
    averages = ema(values, alpha, first)
    # Without gaps this is the plain EMA; only the series that have some take the long way.
    gaps = ~usable & (np.arange(len(values))[:, None] >= first)
    gapped = np.flatnonzero(gaps.any(axis=0))
    if len(gapped):
        averages[:, gapped] = _fading_ema(values[:, gapped], usable[:, gapped], alpha)
    averages[np.cumsum(usable, axis=0) < minimum] = np.nan
    return averages


def _fading_ema(values: Floats, usable: Bools, alpha: float) -> Floats:
    averages = np.empty_like(values)
    average = np.full(values.shape[1], np.nan)
    weight = np.ones(values.shape[1])
    begun = np.zeros(values.shape[1], dtype=np.bool_)
    for row, (new, present) in enumerate(zip(values, usable, strict=True)):
        weight *= 1.0 - alpha
        moved = average + (alpha / (weight + alpha)) * (new - average)
        average = np.where(present, np.where(begun, moved, new), average)
        weight = np.where(present | ~begun, 1.0, weight)
        begun |= present
        averages[row] = average
    return averages


def supertrend(
    upper: Floats, lower: Floats, close: Floats, first: Ints, *, begins_short: bool = False
) -> tuple[Floats, Floats, Bools]:
    """Final bands and direction of the SuperTrend at the newest bar.

    The upper band only falls until a close has broken it, the lower band only rises; the trend changes side when the
    close crosses the band it follows.

    Args:
        upper: basic upper band, shape (bars, series).
        lower: basic lower band.
        close: closing prices.
        first: row of each series' first band.
        begins_short: whether the first bar follows the upper band; otherwise the start is long unless the second close
            is below the lower band.

    Returns:
        (final upper band, final lower band, short), each of shape (series,).

    Source: Olivier Seban's SuperTrend.
    """
    final_upper, final_lower = _seeds(upper, first), _seeds(lower, first)
    short = np.full(len(first), begins_short)
    # Which band a series follows is read off its value: where both coincide the upper one counts, and the line followed
    # before the second bar is 0.
    on_upper = (final_upper == 0.0) | begins_short
    broken = np.zeros(len(first), dtype=np.bool_)
    for start, stop, (begun,) in stretches(len(close), first + 1):
        top, bottom = final_upper[:begun], final_lower[:begun]
        falls, follows, crossed = short[:begun], on_upper[:begun], broken[:begun]
        bands = zip(upper[start:stop, :begun], lower[start:stop, :begun], strict=True)
        closes = zip(close[start - 1 : stop - 1, :begun], close[start:stop, :begun], strict=True)
        for (basic_upper, basic_lower), (last, price) in zip(bands, closes, strict=True):
            np.greater(last, top, out=crossed)
            np.minimum(basic_upper, top, out=top)
            np.copyto(top, basic_upper, where=crossed)
            np.less(last, bottom, out=crossed)
            np.maximum(basic_lower, bottom, out=bottom)
            np.copyto(bottom, basic_lower, where=crossed)
            np.less(price, bottom, out=falls)
            np.less_equal(price, top, out=crossed)
            np.copyto(falls, crossed, where=follows)
            np.equal(bottom, top, out=follows)
            follows |= falls
    return final_upper, final_lower, short
