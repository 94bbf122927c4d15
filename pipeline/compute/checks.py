"""Bars and metrics that cannot be are left out before anything is computed, and counted.

One wrong bar would stay in an average for hundreds of bars, and one that starts off its interval's grid would, as the
newest, be the only row that readers of the newest time see. What is merely unusual stays: no volume, a jump, a price of
any size, an open or close outside the bar's range (feeds round these).
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...indicators.arrow import cast, filled, filtered

if TYPE_CHECKING:
    from ...indicators.contract import Bools, Floats
    from ..base.intervals import Interval

IMPOSSIBLE = "bar with impossible prices or volume"
ASTRAY = "bar off its interval's grid"
NEGATIVE = "metrics row with negative open interest"


def possible_bars(bars: pa.Table, interval: Interval) -> tuple[pa.Table, Counter[str]]:
    """The bars that can be, and how many cannot, by reason.

    A bar needs prices above 0, a high that is not below its low, a volume that is not negative, and a start on its
    interval's grid. A price, volume or time that is missing is none of its business.
    """
    impossible = _impossible(bars)
    astray = ~impossible & _astray(bars, interval)
    if not (impossible.any() or astray.any()):
        return bars, Counter()
    counts = Counter({IMPOSSIBLE: int(impossible.sum()), ASTRAY: int(astray.sum())})
    return filtered(bars, pa.array(~(impossible | astray))), +counts


def possible_metrics(metrics: pa.Table) -> tuple[pa.Table, Counter[str]]:
    """The metrics rows that can be, and how many cannot: a negative open interest would count against the market."""
    negative = (_numbers(metrics["open_interest"]) < 0) | (_numbers(metrics["open_interest_value"]) < 0)
    if not negative.any():
        return metrics, Counter()
    return filtered(metrics, pa.array(~negative)), Counter({NEGATIVE: int(negative.sum())})


def _impossible(bars: pa.Table) -> Bools:
    values = [_numbers(bars[name]) for name in ("open", "high", "low", "close", "volume")]
    open_, high, low, close, volume = values
    wrong = (open_ <= 0) | (high <= 0) | (low <= 0) | (close <= 0) | (high < low) | (volume < 0)
    return wrong & np.logical_and.reduce([np.isfinite(column) for column in values])


def _astray(bars: pa.Table, interval: Interval) -> Bools:
    starts = filled(cast(bars["bucket_ts"], pa.int64()), 0).to_numpy()
    if interval.monthly:
        moments = starts.astype("datetime64[us]")
        return moments != moments.astype("datetime64[M]")
    # Of other intervals beyond a day only the day is checked: sources begin them on different days.
    step = min(interval.length, timedelta(days=1)) // timedelta(microseconds=1)
    return starts % step != 0


def _numbers(column: pa.ChunkedArray) -> Floats:
    return cast(column, pa.float64()).to_numpy().astype(np.float64, copy=False)
