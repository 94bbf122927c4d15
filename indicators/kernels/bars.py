"""Bar arithmetic that several indicators start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import recursions, rolling

if TYPE_CHECKING:
    from ..contract import Floats, Panel


#: Periods that some indicator uses. One recursion over all of them costs little more than one over the first.
ATR_PERIODS = (10, 14, 70)
RIBBON_PERIODS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90, 100)
CLOSE_EMA_PERIODS = (*RIBBON_PERIODS, 2, 7, 9, 21, 34, 99)


def true_range(bars: Panel) -> Floats:
    """True range: the largest of high - low, |high - previous close| and |low - previous close|; (bars, series).

    A series' first bar has high - low alone. Source: Wilder (1978).
    """

    def compute() -> Floats:
        widest = bars.high - bars.low
        before = bars.close[:-1]
        # fmax, because a series' first bar has no previous close: its two other terms are NaN.
        np.fmax(widest[1:], np.abs(bars.high[1:] - before), out=widest[1:])
        np.fmax(widest[1:], np.abs(bars.low[1:] - before), out=widest[1:])
        return widest

    return bars.shared(("true_range",), compute)


def average_true_range(bars: Panel, period: int) -> Floats:
    """True range in Wilder's smoothing from the first bar on, shape (bars, series); of a period in ATR_PERIODS."""
    all_periods = bars.shared(
        ("atr",), lambda: recursions.ema(true_range(bars), 1 / np.array(ATR_PERIODS)[:, None], bars.first)
    )
    return all_periods[:, ATR_PERIODS.index(period)]


def close_ema(bars: Panel, period: int) -> Floats:
    """EMA of the close by span, the newest two rows, shape (2, series); of a period in CLOSE_EMA_PERIODS."""

    def compute() -> Floats:
        alphas = recursions.span(np.array(CLOSE_EMA_PERIODS, dtype=np.float64)[:, None])
        return recursions.ema(bars.close, alphas, bars.first, rows=2)

    return bars.shared(("close_ema",), compute)[:, CLOSE_EMA_PERIODS.index(period)]


def close_mean(bars: Panel) -> Floats:
    """Mean of the close over 20 bars (fewer at a series' beginning), the newest ten rows, shape (10, series)."""
    return bars.shared(("close_mean",), lambda: rolling.moving_mean(bars.close, 20, bars.first, rows=10))


def turnover(bars: Panel) -> Floats:
    """Turnover of the newest bar in quote currency, 0 where the source gave none; shape (series,)."""
    return np.nan_to_num(bars.quote_volume[-1])


def typical_price(bars: Panel) -> Floats:
    """Mean of high, low and close, shape (bars, series)."""
    return bars.shared(("typical_price",), lambda: (bars.high + bars.low + bars.close) / 3)


def changes(values: Floats) -> Floats:
    """Difference to the bar before, NaN at a series' first bar; shape (bars, series)."""
    differences = np.full_like(values, np.nan)
    np.subtract(values[1:], values[:-1], out=differences[1:])
    return differences


def gains_and_losses(values: Floats) -> tuple[Floats, Floats]:
    """Rises and falls from bar to bar, both as positive numbers, 0 at a series' first bar; shape (bars, series)."""
    change = changes(values)
    return np.where(change > 0, change, 0.0), np.where(change < 0, -change, 0.0)
