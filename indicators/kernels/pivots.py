"""Pivots: bars that stand out from their neighbours, and picking the newest of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import rolling
from .dispatch import in_lanes

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Array, Bools, Floats, Ints


def pivot_highs(values: Floats, half: int) -> Bools:
    """Rows that equal the maximum of themselves and ``half`` rows on either side; ties count. Shape (bars, series)."""
    return _pivots(values, rolling.highest, half)


def pivot_lows(values: Floats, half: int) -> Bools:
    """Rows that equal the minimum of themselves and ``half`` rows on either side; ties count. Shape (bars, series)."""
    return _pivots(values, rolling.lowest, half)


def _pivots(values: Floats, extreme: Callable[[Floats, int], Floats], half: int) -> Bools:
    found = np.zeros(values.shape, dtype=np.bool_)
    width = 2 * half + 1
    if len(values) >= width:
        found[half:-half] = values[half:-half] == extreme(values, width)
    return found


@in_lanes
def newest_highs(values: Floats, half: int, count: int) -> Ints:
    """Rows of the newest ``count`` pivot highs of each series, newest first; -1 where there are fewer.

    Shape (count, series).
    """
    return newest(pivot_highs(values, half), count)


@in_lanes
def newest_lows(values: Floats, half: int, count: int) -> Ints:
    """Rows of the newest ``count`` pivot lows of each series, see ``newest_highs``."""
    return newest(pivot_lows(values, half), count)


@in_lanes
def newest(marked: Bools, count: int) -> Ints:
    """Rows of the newest ``count`` marked bars of each series, newest first; -1 where there are fewer.

    Shape (count, series).
    """
    if count == 1:
        back = marked[::-1].argmax(axis=0)
        return np.where(marked.any(axis=0), len(marked) - 1 - back, -1)[None]
    # Few bars are marked: they are listed, newest first, and numbered within their series.
    back, column = np.nonzero(marked[::-1])
    order = np.argsort(column, kind="stable")
    back, column = back[order], column[order]
    place = np.arange(len(column)) - np.searchsorted(column, column)
    rows = np.full((count, marked.shape[1]), -1)
    wanted = place < count
    rows[place[wanted], column[wanted]] = len(marked) - 1 - back[wanted]
    return rows


@in_lanes
def oldest_marked(marked: Bools) -> Ints:
    """Row of the oldest marked bar of each series, -1 where there is none; shape (series,)."""
    if not len(marked):
        return np.full(marked.shape[1], -1)
    return np.where(marked.any(axis=0), marked.argmax(axis=0), -1)


def pick(values: Array, rows: Ints, missing: float = np.nan) -> Array:
    """Values at some rows of each series, shape of ``rows``; ``missing`` where the row is -1."""
    return np.where(rows < 0, missing, np.take_along_axis(values, np.maximum(rows, 0), axis=0))


@in_lanes
def line(
    closes: Floats, first: Ints, series: Ints, row: Ints, value: Floats, step: Floats, *, falling: bool
) -> tuple[Floats, Bools]:
    """Height of one line for each of some series at the newest bar, NaN where a close lies beyond it; where none does.

    Each bar after the line's older end is held against the close that lies as far from the series' beginning as the bar
    lies from its end: mirrored in time, as the readers' values have it.

    Args:
        closes: shape (bars, series).
        first: row of each series' first bar.
        series: columns of the lines' series, shape (lines,).
        row: where the older end of each line lies.
        value: its height there.
        step: its rise per bar.
        falling: whether a close beyond lies above the line.
    """
    # The newest bar lies `reach` bars after the older pivot; the scan reads the closes from there back.
    reach = len(closes) - 1 - row
    longest = int(reach.max())
    # heights[j]: the line j + 1 bars after the older pivot, by repeated addition.
    heights = np.repeat(step[None], longest, axis=0)
    heights[0] += value
    np.cumsum(heights, axis=0, out=heights)
    back = np.arange(longest)[:, None]
    places = (reach - 1 + first[series]) * closes.shape[1] + series - back * closes.shape[1]
    held_against = np.take(closes, places, mode="clip")
    beyond = held_against > heights if falling else held_against < heights
    valid: Bools = ~np.any(beyond & (back < reach), axis=0)
    last = np.take_along_axis(heights, reach[None] - 1, axis=0)[0]
    # The line is drawn anew from its two ends.
    return np.where(valid, value + (last - value) / reach * reach, np.nan), valid


def held_line(
    closes: Floats, series: Ints, row: Ints, value: Floats, step: Floats, *, falling: bool
) -> tuple[Floats, Bools]:
    """Height of one line for each of some series at the newest bar; whether no close after its older end lies beyond.

    Args:
        closes: shape (bars, series).
        series: columns of the lines' series, shape (lines,).
        row: where the older end of each line lies.
        value: its height there.
        step: its rise per bar.
        falling: whether a close beyond lies above the line.
    """
    reach = len(closes) - 1 - row
    ages = np.arange(1, int(reach.max()) + 1)[:, None]
    heights = value + step * ages
    held_against = closes[np.minimum(row + ages, len(closes) - 1), series]
    beyond = held_against > heights if falling else held_against < heights
    return value + step * reach, ~np.any(beyond & (ages <= reach), axis=0)
