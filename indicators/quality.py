"""Data quality: how much of a series is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import NO_MOMENT, Indicator, Panel, Values, indicator, integer, moment
from .futures import ROWS
from .kernels import pivots
from .profiles import CORRECTED

if TYPE_CHECKING:
    from .contract import Ints

#: Seconds of the units of intervals, save months, which are of many lengths.
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_FIVE_MINUTES = 300_000_000


def _microseconds(interval: str) -> float:
    seconds = _SECONDS.get(interval[-1])
    return float(interval[:-1]) * seconds * 1e6 if seconds else float("nan")


def bars_on_the_grid(bars: Panel) -> Values:
    """The bars that are expected are those from the oldest to the newest one that was loaded; NULL for months.

    Source: none is needed to count the bars of a span.
    """
    oldest = np.take_along_axis(bars.time, bars.first[None], axis=0)[0]
    expected = np.rint((bars.newest_time - oldest) / bars.by_interval(_microseconds)) + 1
    bars.note(expected=expected)
    return Values(bars.lengths, bars.newest_time, expected, expected - bars.lengths)


def gaps_on_the_grid(metrics: Panel) -> Values:
    """Every five minutes from the oldest row to the last one that is due now want a row; the current ones do not yet.

    Source: none is needed to count the rows of a grid.
    """
    slots: Ints = metrics.time // _FIVE_MINUTES
    due = metrics.as_of // _FIVE_MINUTES
    slots = np.concatenate([slots, np.maximum(slots[-1] + 1, due)[None]])
    # Row i is the step from row i of the metrics to the next one, of the newest to what is due next.
    steps = np.where(np.arange(metrics.rows)[:, None] >= metrics.first, np.diff(slots, axis=0), 1)
    gap = steps > 1
    metrics.note(slots_to_the_next=steps)
    place = gap.argmax(axis=0)[None]
    before, after = (np.take_along_axis(slots, row, axis=0)[0] for row in (place, place + 1))
    there = gap.any(axis=0)
    return Values(
        metrics.lengths,
        metrics.newest_time,
        np.maximum(steps - 1, 0).sum(axis=0),
        np.where(there, (before + 1) * _FIVE_MINUTES, NO_MOMENT),
        np.where(there, (after - 1) * _FIVE_MINUTES, NO_MOMENT),
    )


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
    variants={CORRECTED: bars_on_the_grid},
)


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
    variants={CORRECTED: gaps_on_the_grid},
)
def futures_gap_monitor(metrics: Panel) -> Values:
    """Steps of more than five minutes: each is a gap, one of less than ten minutes lacks no row."""
    earlier = metrics.time[:-1]
    step = metrics.time[1:] - earlier
    # A series' first row has no step: before it is padding.
    gap = (earlier != 0) & (step > _FIVE_MINUTES)
    metrics.note(step=step, gap=gap)
    missing = np.where(gap, step // _FIVE_MINUTES - 1, 0).sum(axis=0)
    row = pivots.oldest_marked(gap)

    def time(rows: Ints) -> Ints:
        return np.take_along_axis(metrics.time, rows[None], axis=0)[0]

    # Of the first gap the first row that is missing, and the last.
    start = np.where(row < 0, NO_MOMENT, time(np.maximum(row, 0)) + _FIVE_MINUTES)
    end = np.where(row < 0, NO_MOMENT, time(row + 1) - _FIVE_MINUTES)
    return Values(metrics.lengths, metrics.newest_time, missing, start, end)
