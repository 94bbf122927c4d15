"""Pivots: bars that stand out from their neighbours, and picking the newest of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import rolling

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


def pick(values: Array, rows: Ints, missing: float = np.nan) -> Array:
    """Values at some rows of each series, shape of ``rows``; ``missing`` where the row is -1."""
    return np.where(rows < 0, missing, np.take_along_axis(values, np.maximum(rows, 0), axis=0))
