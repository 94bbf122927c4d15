"""Bar arithmetic that several indicators start from."""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING

import numpy as np

from ..windows import Windows
from . import recursions, rolling
from .dispatch import OVER_PANELS, in_lanes, lanes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Floats, Panel


class PerPeriod:
    """A kernel that takes a period, and computes all the periods that are expected of a panel in one recursion.

    One recursion over many periods costs little more than one over the first. Indicators say in ``shares`` which of
    their parameters are periods of a kernel; a period that nobody said is computed by itself, with the same result.
    """

    def __init__(self, compute: Callable[[Panel, Floats], Floats]) -> None:
        """Wrap a function of a panel and periods of shape (periods,) with a result of (rows, periods, series)."""
        self._compute = compute
        self._name = compute.__name__
        update_wrapper(self, compute)

    def __call__(self, bars: Panel, period: int, rows: int | None = None) -> Floats:
        """The newest rows of the result for one period, None: all it has; shape (rows, series)."""
        if isinstance(bars, Windows) and self._name in OVER_PANELS:
            return lanes_of(self._name)(bars, period, rows)
        periods = bars.expected(self, period)
        together = bars.shared((self, periods), lambda: self._compute(bars, np.array(periods, dtype=np.float64)))
        return together[0 if rows is None else -rows :, periods.index(period)]


def true_range(bars: Panel) -> Floats:
    """True range: the largest of high - low, |high - previous close| and |low - previous close|; (bars, series).

    A series' first bar has high - low alone. Source: Wilder (1978).
    """

    def compute() -> Floats:
        widest = np.array(bars.high - bars.low)
        before = bars.close[:-1]
        # fmax, because a series' first bar has no previous close: its two other terms are NaN.
        np.fmax(widest[1:], np.abs(bars.high[1:] - before), out=widest[1:])
        np.fmax(widest[1:], np.abs(bars.low[1:] - before), out=widest[1:])
        return widest

    return bars.shared(("true_range",), compute)


@PerPeriod
@in_lanes
def average_true_range(bars: Panel, periods: Floats) -> Floats:
    """True range in Wilder's smoothing from the first bar on, shape (bars, series)."""
    return recursions.ema(true_range(bars), 1 / periods[:, None], bars.first)


@PerPeriod
def close_ema(bars: Panel, periods: Floats) -> Floats:
    """EMA of the close by span, the newest two rows, shape (2, series)."""
    return recursions.ema(bars.close, recursions.span(periods[:, None]), bars.first, rows=2)


def true_range_from_mean(bars: Panel, period: int, rows: int | None = None) -> Floats:
    """True range in Wilder's smoothing from the mean of the second bar's and those after it; (rows, series).

    The first bar's range is no true one, as it has no previous close. NaN up to bar ``period``.

    Source: Wilder (1978), as TA-Lib's ATR begins.
    """
    return recursions.ema_from_mean(true_range(bars), period, 1.0 / period, bars.first + 1, rows)


def close_ema_from_mean(bars: Panel, period: int) -> Floats:
    """EMA of the close by span, which begins with a mean; the newest two rows, shape (2, series)."""
    return recursions.ema_from_mean(bars.close, period, recursions.span(float(period)), bars.first, rows=2)


def close_mean(bars: Panel, width: int) -> Floats:
    """Mean of the close over some bars (fewer at a series' beginning), the newest ten rows, shape (10, series)."""
    return bars.shared(("close_mean", width), lambda: rolling.moving_mean(bars.close, width, bars.first, rows=10))


def turnover(bars: Panel) -> Floats:
    """Turnover of the newest bar in quote currency, 0 where the source gave none; shape (series,)."""
    return np.nan_to_num(bars.quote_volume[-1])


def typical_price(bars: Panel) -> Floats:
    """Mean of high, low and close, shape (bars, series)."""
    return bars.shared(("typical_price",), lambda: (bars.high + bars.low + bars.close) / 3)


def low_and_high(bars: Panel, width: int, before: int = 0) -> tuple[Floats, Floats]:
    """Lowest low and highest high of ``width`` bars, which end ``before`` so many of the newest; (series,) each."""
    rows = slice(-width - before, -before or None)
    return rolling.lowest(bars.low[rows], width)[-1], rolling.highest(bars.high[rows], width)[-1]


def changes(values: Floats) -> Floats:
    """Difference to the bar before, NaN at a series' first bar; shape (bars, series)."""
    differences = np.full_like(values, np.nan)
    np.subtract(values[1:], values[:-1], out=differences[1:])
    return differences


def gains_and_losses(values: Floats) -> tuple[Floats, Floats]:
    """Rises and falls from bar to bar, both as positive numbers, 0 at a series' first bar; shape (bars, series)."""
    change = changes(values)
    return np.where(change > 0, change, 0.0), np.where(change < 0, -change, 0.0)
