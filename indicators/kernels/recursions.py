"""Recursions over time, vectorised over series.

Arrays have shape (bars, series) or (bars, variants, series), newest row last. ``first`` is the row at which each series
begins, shape (series,), never falling from column to column. Rows before a series begins are NaN in the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indicators.kernels.rolling import moving_mean
from indicators.kernels.under_way import steps

if TYPE_CHECKING:
    from indicators.contract import Bools, Floats, Ints


Number = TypeVar("Number", float, "Floats")


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
    bars = len(values)
    skipped = 0 if rows is None else max(bars - rows, 0)
    shape = np.broadcast_shapes(values.shape[1:], np.shape(alpha))
    averages = np.full((bars - skipped, *shape), np.nan)
    average = np.full(shape, np.nan)
    for row, before, now in steps(first, bars):
        if before:
            under_way = average[..., :before]
            step = values[row, ..., :before] - under_way
            step *= alpha
            under_way += step
        if now > before:
            average[..., before:now] = values[row, ..., before:now]
        if row >= skipped:
            averages[row - skipped, ..., :now] = average[..., :now]
    return averages


def weighted_mean(values: Floats, alpha: float | Floats, first: Ints) -> Floats:
    """Mean of all values so far with weights (1 - alpha)^k, newest k = 0; what an EMA is before its seed fades.

    Args:
        values: shape (bars, ..., series), without NaN from ``first`` on.
        alpha: 0 < alpha < 1; an array that broadcasts with a row of values computes several at once.
        first: row of each series' first value.

    Returns:
        Shape (bars, ..., series), a row as broadcast. A constant series stays exactly constant.
    """
    shape = np.broadcast_shapes(values.shape[1:], np.shape(alpha))
    means = np.full((len(values), *shape), np.nan)
    weight = np.zeros(shape)
    for row, before, now in steps(first, len(values)):
        weight[..., :now] *= 1.0 - alpha
        if before:
            old = means[row - 1, ..., :before]
            step = values[row, ..., :before] - old
            step /= weight[..., :before] + 1.0
            np.add(old, step, out=means[row, ..., :before])
        if now > before:
            means[row, ..., before:now] = values[row, ..., before:now]
        weight[..., :now] += 1.0
    return means


def smoothed(values: Floats, period: int, first: Ints) -> Floats:
    """Smoothed moving average: the mean of the first ``period`` values, then (y_{t-1} (p - 1) + x_t) / p.

    Shape (bars, series); NaN before the series has ``period`` values.
    """
    averages = np.full_like(values, np.nan)
    # The seeds lie in the first rows of those series that are long enough.
    seeded = first[first + period <= len(values)]
    seeds = moving_mean(values[: seeded.max(initial=0) + period], period, first)
    for row, before, now in steps(first + period - 1, len(values)):
        averages[row, :before] = (averages[row - 1, :before] * (period - 1) + values[row, :before]) / period
        if now > before:
            averages[row, before:now] = seeds[row, before:now]
    return averages


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


def ema_over_gaps(values: Floats, alpha: float, minimum: int = 1) -> Floats:
    """EMA that keeps its value over NaN and lets the old value fade meanwhile.

    After k NaN rows the old value has weight (1 - alpha)^(k + 1) against alpha for the new one. NaN until ``minimum``
    values were seen; infinity counts as NaN. Shape (bars, series).
    """
    averages = np.empty_like(values)
    average = np.full(values.shape[1], np.nan)
    weight = np.ones(values.shape[1])
    seen = np.zeros(values.shape[1], dtype=np.int64)
    usable = np.isfinite(values)
    for row, (new, present) in enumerate(zip(values, usable, strict=True)):
        weight *= 1.0 - alpha
        begun = seen > 0
        moved = average + (alpha / (weight + alpha)) * (new - average)
        average = np.where(present, np.where(begun, moved, new), average)
        weight = np.where(present | ~begun, 1.0, weight)
        seen += present
        averages[row] = np.where(seen >= minimum, average, np.nan)
    return averages


def supertrend(upper: Floats, lower: Floats, close: Floats, first: Ints) -> tuple[Floats, Floats, Bools]:
    """Final bands and direction of the SuperTrend at the newest bar.

    The upper band only falls until a close has broken it, the lower band only rises; the trend changes side when the
    close crosses the band it follows.

    Args:
        upper: basic upper band, shape (bars, series).
        lower: basic lower band.
        close: closing prices.
        first: row of each series' first bar.

    Returns:
        (final upper band, final lower band, short), each of shape (series,).

    Source: Olivier Seban's SuperTrend, with a start that is long unless the second close is below the lower band.
    """
    final_upper, final_lower = np.empty_like(upper[-1]), np.empty_like(lower[-1])
    # The line followed so far. Which side a series is on is read off its value, so that where both bands coincide the
    # upper one counts; no series is on a side before its second bar.
    line = np.zeros_like(final_upper)
    short = np.zeros(len(line), dtype=np.bool_)
    for row, before, now in steps(first, len(close)):
        old_upper, old_lower = final_upper[:before], final_lower[:before]
        last, price = close[row - 1, :before], close[row, :before]
        on_upper = line[:before] == old_upper
        new_upper = np.where(last > old_upper, upper[row, :before], np.minimum(upper[row, :before], old_upper))
        new_lower = np.where(last < old_lower, lower[row, :before], np.maximum(lower[row, :before], old_lower))
        short[:before] = np.where(on_upper, price <= new_upper, price < new_lower)
        line[:before] = np.where(short[:before], new_upper, new_lower)
        final_upper[:before], final_lower[:before] = new_upper, new_lower
        final_upper[before:now], final_lower[before:now] = upper[row, before:now], lower[row, before:now]
    return final_upper, final_lower, short
