"""Data quality: how much of a series is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Indicator, Panel, Values, indicator, integer, moment
from .futures import ROWS
from .kernels import pivots
from .kinds import NO_MOMENT

if TYPE_CHECKING:
    from .contract import Ints

data_monitor = Indicator(
    id="data_monitor",
    title="Data monitor",
    family="quality",
    inputs=(),
    columns=(
        integer("bars_loaded", "bars of the series in this pass"),
        moment("newest_bar", "start of the newest bar"),
        integer("bars_expected", "bars in a week, for 1m only"),
        integer("bars_missing", "bars short of a week, for 1m only"),
    ),
    formula="bars loaded; at 1m also how many are missing to a week of 10080",
    min_bars=1,
)

_FIVE_MINUTES = 300_000_000


@indicator(
    id="futures_gap_monitor",
    title="Futures gap monitor",
    family="quality",
    inputs=(),
    columns=(
        integer("rows_loaded", "metrics rows of the symbol, at most 240"),
        moment("newest_row", "time of the newest row"),
        integer("rows_missing", "rows that the gaps between them lack"),
        moment("first_gap_start", "first missing row of the first gap"),
        moment("first_gap_end", "last missing row of the first gap"),
    ),
    formula="steps of more than 5 minutes between the newest 240 metrics rows within 30 days",
    min_bars=1,
    source="metrics",
    intervals=("5m",),
    window=ROWS,
)
def futures_gap_monitor(metrics: Panel) -> Values:
    """Steps of more than five minutes: each is a gap, one of less than ten minutes lacks no row."""
    earlier = metrics.time[:-1]
    step = metrics.time[1:] - earlier
    # A series' first row has no step: before it is padding.
    gap = (earlier != 0) & (step > _FIVE_MINUTES)
    missing = np.where(gap, step // _FIVE_MINUTES - 1, 0).sum(axis=0)
    row = pivots.oldest_marked(gap)

    def time(rows: Ints) -> Ints:
        return np.take_along_axis(metrics.time, rows[None], axis=0)[0]

    # Of the first gap the first row that is missing, and the last.
    start = np.where(row < 0, NO_MOMENT, time(np.maximum(row, 0)) + _FIVE_MINUTES)
    end = np.where(row < 0, NO_MOMENT, time(row + 1) - _FIVE_MINUTES)
    return Values(metrics.lengths, metrics.newest_time, missing, start, end)
