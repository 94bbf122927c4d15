"""Chains: recursions that one indicator runs one after the other, over all series at once.

A chain is one kernel, because over the windows of a series it runs in one go, window by window (``lanes``). All return
the newest rows alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import pivots, recursions, rolling
from .bars import average_true_range, changes, gains_and_losses, true_range
from .dispatch import in_lanes

if TYPE_CHECKING:
    from ..contract import Bools, Floats, Ints, Panel


@in_lanes
def convergence(values: Floats, fast: int, slow: int, signal: int, first: Ints) -> tuple[Floats, Floats]:
    """Difference of a fast and a slow EMA, and the EMA of it; the newest two rows, each of shape (2, series).

    Source: Appel's MACD (1979).
    """
    periods = np.array([fast, slow], dtype=np.float64)
    averages = recursions.ema(values, recursions.span(periods[:, None]), first)
    difference = averages[:, 0] - averages[:, 1]
    return difference[-2:], recursions.ema(difference, recursions.span(signal), first)[-2:]


@in_lanes
def smoothed_twice(values: Floats, alpha: float, minimum: int, first: Ints) -> tuple[Floats, Floats]:
    """``ema_over_gaps`` and the same of it, the newest two rows, each of shape (2, series).

    The second begins with the ``minimum``-th value of a series, where the first has its first one.
    """
    once = recursions.ema_over_gaps(values, alpha, minimum, first)
    return once[-2:], recursions.ema_over_gaps(once, alpha, minimum, first + minimum - 1)[-2:]


@in_lanes
def rises_and_falls(values: Floats, alpha: float, first: Ints) -> tuple[Floats, Floats]:
    """EMA of the rises from bar to bar and EMA of the falls, both from 0 at the first bar; (series,) each."""
    rise, fall = recursions.ema(np.stack(gains_and_losses(values), axis=1), alpha, first, rows=1)[0]
    return rise, fall


def rsi_from_mean(values: Floats, period: int, first: Ints, rows: int) -> Floats:
    """Relative strength of the rises and falls from bar to bar, 0 to 100, in Wilder's smoothing from their mean.

    The newest rows, shape (rows, series). 50 where nothing has moved, NaN up to bar ``period``.

    Source: Wilder, New Concepts in Technical Trading Systems (1978).
    """
    both = np.stack(gains_and_losses(values), axis=1)
    averages = recursions.ema_from_mean(both, period, 1.0 / period, first + 1, rows)
    gain, loss = averages[:, 0], averages[:, 1]
    return np.where(gain + loss == 0, 50.0, 100 * (gain / (gain + loss)))


@in_lanes
def mean_strength(values: Floats, fading: Floats) -> Floats:
    """Mean of the relative strengths of many periods, 0 to 100, NaN where there was no fall; shape (series,).

    Args:
        values: shape (bars, series).
        fading: what Wilder's smoothing leaves of an average, 1 - 1 / period, of each period; shape (periods,).
    """
    # From 0 at the first bar; what the sums lack, a factor of 1 / period, is in both.
    change = np.diff(values, axis=0)
    gain = recursions.fading_sums(np.where(change > 0, change, 0.0), fading)
    loss = recursions.fading_sums(np.where(change < 0, -change, 0.0), fading)
    return rolling.tail_mean(np.where(loss == 0, np.nan, 100 - 100 / (1 + gain / loss)))


@in_lanes
def weighted_rises_and_falls(
    values: Floats, periods: Floats, place: int, tail: int, first: Ints
) -> tuple[Floats, Floats, Ints]:
    """Weighted means (``recursions.weighted_mean``, alpha 1 / period) of the rises and falls from bar to bar.

    Args:
        values: shape (bars, series), without NaN from ``first`` on.
        periods: shape (periods,).
        place: which of the periods ``ratios`` are wanted of.
        tail: how many newest rows of them.
        first: row of each series' first value.

    Returns:
        The newest means, shape (periods, 2, series), rises first; the ratio of the means of the period at ``place`` in
        the newest rows, shape (tail or as many as there are, series), NaN where the mean is of fewer changes than the
        period; and how many ratios each series has, shape (series,).
    """
    change = changes(values)[1:]
    # Row i of `change` belongs to bar i + 1, so a series' first change is in the row of its first bar.
    both = np.stack([np.maximum(change, 0), np.maximum(-change, 0)], axis=1)
    means = recursions.weighted_mean(both, 1 / periods[:, None, None], first)
    ratios = means[:, place, 0] / means[:, place, 1]
    ratios = np.where(np.arange(len(ratios))[:, None] >= first + int(periods[place]) - 1, ratios, np.nan)
    return means[-1], ratios[-tail:], (~np.isnan(ratios)).sum(axis=0)


@in_lanes
def usual_true_range(bars: Panel, period: int, rows: int) -> tuple[Floats, Floats]:
    """The average true range of the newest bar, and the median of the newest rows of it; each of shape (series,)."""
    ranges = average_true_range(bars, period, rows)
    return ranges[-1], np.median(ranges, axis=0)


@in_lanes
def range_of_average_true_range(bars: Panel, alpha: float) -> tuple[Floats, Floats, Floats]:
    """Least, greatest and newest value of the true range's EMA, each of shape (series,)."""
    ranges = recursions.ema(true_range(bars), alpha, bars.first)
    return np.fmin.reduce(ranges, axis=0), np.fmax.reduce(ranges, axis=0), ranges[-1]


@in_lanes
def supertrend(bars: Panel, period: int, multiplier: float) -> tuple[Floats, Floats, Bools]:
    """``recursions.supertrend`` over bands of some average true ranges around the middle of each bar."""
    middle = (bars.high + bars.low) / 2
    reach = multiplier * average_true_range(bars, period)
    return recursions.supertrend(middle + reach, middle - reach, bars.close, bars.first)


@in_lanes
def directional_movement(bars: Panel, period: int) -> tuple[Floats, Floats, Floats]:
    """ADX and the two directional indices at the newest bar, all smoothings from 0 at the first; (series,) each.

    Source: Wilder, New Concepts in Technical Trading Systems (1978).
    """
    # One recursion for all three.
    spread, plus_di, minus_di = _directional_indices(recursions.wilder(_moves(bars), period, bars.first))
    return recursions.ema(spread, 1 / period, bars.first, rows=1)[-1], plus_di[-1], minus_di[-1]


def directional_movement_from_mean(bars: Panel, period: int) -> tuple[Floats, Floats, Floats]:
    """ADX and the two directional indices at the newest bar, all smoothings from a mean; (series,) each.

    The moves are smoothed from bar ``period`` on, their first bar counting as 0; ADX begins with the mean of the first
    ``period`` spreads after that.

    Source: Wilder, New Concepts in Technical Trading Systems (1978), as TA-Lib's ADX begins.
    """
    smooth = recursions.ema_from_mean(_moves(bars), period, 1.0 / period, bars.first)
    spread, plus_di, minus_di = _directional_indices(smooth)
    adx = recursions.ema_from_mean(spread, period, 1.0 / period, bars.first + period, rows=1)[-1]
    return adx, plus_di[-1], minus_di[-1]


def _moves(bars: Panel) -> Floats:
    """True range, upward and downward movement, each 0 at a series' first bar; (bars, 3, series)."""
    up, down = changes(bars.high), -changes(bars.low)
    ranges = np.where(np.isnan(up), 0.0, true_range(bars))
    plus_move = np.where((up > down) & (up > 0), up, 0.0)
    minus_move = np.where((down > up) & (down > 0), down, 0.0)
    return np.stack([ranges, plus_move, minus_move], axis=1)


def _directional_indices(smooth: Floats) -> tuple[Floats, Floats, Floats]:
    """The spread of the directional indices, and both of them, of smoothed moves; (bars, series) each."""
    span, plus, minus = smooth[:, 0], smooth[:, 1], smooth[:, 2]
    plus_di, minus_di = np.where(span > 0, 100 * plus / span, 0.0), np.where(span > 0, 100 * minus / span, 0.0)
    both = plus_di + minus_di
    return np.where(both > 0, 100 * np.abs(plus_di - minus_di) / both, 0.0), plus_di, minus_di


@in_lanes
def smoothed_heikin_ashi(bars: Panel, period: int, rows: int) -> Floats:
    """Heikin-Ashi candles of EMA-smoothed prices, smoothed once more: open, high, low, close; (rows, 4, series)."""
    alpha = recursions.span(period)
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=1)
    smooth = recursions.ema(prices, alpha, bars.first)
    return recursions.ema(_heikin_ashi(smooth, bars.first), alpha, bars.first, rows=rows)


def heikin_ashi_from_mean(bars: Panel, period: int, rows: int) -> Floats:
    """``smoothed_heikin_ashi`` with smoothings that begin with a mean; NaN in the first 2 ``period`` - 2 bars."""
    alpha = recursions.span(float(period))
    prices = np.stack([bars.open, bars.high, bars.low, bars.close], axis=1)
    smooth = recursions.ema_from_mean(prices, period, alpha, bars.first)
    begins = bars.first + period - 1
    return recursions.ema_from_mean(_heikin_ashi(smooth, begins), period, alpha, begins, rows=rows)


def _heikin_ashi(prices: Floats, first: Ints) -> Floats:
    """Heikin-Ashi candles of prices, open, high, low and close: (bars, 4, series). ``first``: row of the first bar."""
    open_, high, low, close = (prices[:, k] for k in range(4))
    ha_close = (open_ + high + low + close) / 4
    # Each open is half-way between the open and the close before: an EMA of one half over the closes before, which
    # begins with the middle of the first bar.
    earlier = np.concatenate([np.full((1, len(first)), np.nan), ha_close[:-1]])
    earlier = np.where(np.isnan(earlier), (open_ + close) / 2, earlier)
    ha_open = recursions.ema(earlier, 0.5, first)
    ha_high = np.maximum(np.maximum(high, ha_open), ha_close)
    ha_low = np.minimum(np.minimum(low, ha_open), ha_close)
    return np.stack([ha_open, ha_high, ha_low, ha_close], axis=1)


def zero_lag(bars: Panel, period: int) -> Floats:
    """EMA of the close plus its change over the EMA's lag, NaN over as many first bars; (bars, series).

    Source: Ehlers and Way, Zero Lag (2010).
    """
    lag = (period - 1) // 2

    def compute() -> Floats:
        ahead = bars.close[lag:] + (bars.close[lag:] - bars.close[:-lag])
        # Row i of `ahead` belongs to bar i + lag, so a series' first row in it is that of its first bar.
        averages = recursions.ema(ahead, recursions.span(period), bars.first)
        return np.concatenate([np.full((lag, bars.series), np.nan), averages])

    return bars.shared(("zero_lag", period), compute)


def zero_lag_from_mean(bars: Panel, period: int) -> Floats:
    """``zero_lag`` with an EMA that begins with a mean; NaN over as many more bars."""
    lag = (period - 1) // 2
    ahead = bars.close[lag:] + (bars.close[lag:] - bars.close[:-lag])
    averages = recursions.ema_from_mean(ahead, period, recursions.span(float(period)), bars.first)
    return np.concatenate([np.full((lag, bars.series), np.nan), averages])


@in_lanes
def zero_lag_crosses(bars: Panel, period: int, width: float, widest: int) -> tuple[Bools, Ints, Floats, Floats]:
    """The side of the zero-lag average's band that the close crossed last.

    The band is ``width`` times the highest average true range of the last ``widest * period`` bars, of fewer at a
    series' beginning.

    Returns:
        Whether the close crossed the upper band last; the row of the cross that began this side, the first bar's where
        there was none; the average and the band of the newest bar; each of shape (series,).
    """
    average, close, before = zero_lag(bars, period), bars.close, bars.close[:-1]
    band = width * rolling.highest_so_far(average_true_range(bars, period), widest * period)
    upper, lower = average + band, average - band
    events = np.zeros(close.shape, dtype=np.int64)
    events[1:] = np.select(
        [(before <= upper[1:]) & (close[1:] > upper[1:]), (before >= lower[1:]) & (close[1:] < lower[1:])], [1, -1], 0
    )
    state = recursions.held(events)
    turned = np.zeros(close.shape, dtype=np.bool_)
    turned[1:] = state[1:] != state[:-1]
    turn = pivots.newest(turned, 1)[0]
    return state[-1] == 1, np.where(turn < 0, bars.first, turn), average[-1], band[-1]


@in_lanes
def zero_lag_states(bars: Panel, period: int, width: float, widest: int) -> tuple[Ints, Ints, Floats, Floats]:
    """The side of the zero-lag average's band (see ``zero_lag_crosses``) that a bar closed beyond last.

    Before the band has all its bars nothing happens.

    Returns:
        1 above, -1 below, 0 neither yet, at the bar before the newest and at the newest; the average and the band of
        the newest bar; each of shape (series,).
    """
    bars_of_band = widest * period
    average, close = zero_lag(bars, period)[bars_of_band - 1 :], bars.close[bars_of_band - 1 :]
    band = width * rolling.highest(average_true_range(bars, period), bars_of_band)
    events = np.select([close > average + band, close < average - band], [1, -1], 0)
    before, state = recursions.held(events)[-2:]
    return before, state, average[-1], band[-1]
