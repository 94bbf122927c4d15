"""Candlestick functions of TA-Lib at the newest bar, over all series at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import talib

from .dispatch import in_lanes

if TYPE_CHECKING:
    from ..contract import Array, Floats, Panel

#: Bars of each series that the candlestick functions see: the longest of them looks back over 14, and two of them
#: confirm a pattern over 3 more. A test shows that this many give the value of the whole series.
TAIL = 18
_QUIET = 15


@in_lanes
def candlesticks(bars: Panel, functions: tuple[str, ...]) -> Array:
    """Values of the candlestick functions at the newest bar, shape (functions, series).

    The tails of all series stand in one array, one behind the other. TA-Lib keeps running sums over it, and what one
    series leaves in such a sum (a rounding error, but of another series' size) could decide a tie in the next one. So
    each tail is brought below 1 by a power of two, which changes no comparison, and comes after one bar that is so
    large that adding and removing it wipes the sums, and enough bars of nothing to fill every window.
    """
    whole = bars.lengths >= TAIL
    largest = np.max([bars.open[-TAIL:], bars.high[-TAIL:], bars.low[-TAIL:], bars.close[-TAIL:]], axis=(0, 1))
    size = np.frexp(np.where(whole, largest, 1.0))[1]

    def blocks(values: Floats, wipe: float) -> Floats:
        block = np.zeros((1 + _QUIET + TAIL, bars.series))
        block[0] = wipe
        block[-TAIL:] = np.ldexp(np.where(whole, values[-TAIL:], 0.0), -size)
        return np.ascontiguousarray(block.T).ravel()

    large = 2.0**70
    prices = (
        blocks(bars.open, 0.0),
        blocks(bars.high, 2 * large),
        blocks(bars.low, -large),
        blocks(bars.close, large),
    )
    length = 1 + _QUIET + TAIL
    found = [getattr(talib, name)(*prices)[length - 1 :: length] for name in functions]
    return np.where(whole, np.stack(found), 0)
