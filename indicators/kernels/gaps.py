"""Rows of which some are missing: what changes from one that is there to the next, and for how long.

Arrays have shape (rows, series), newest row last; NaN is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import pivots, rolling
from .dispatch import in_lanes

if TYPE_CHECKING:
    from ..contract import Bools, Floats, Ints


def before(values: Floats) -> Floats:
    """The last value before each row that is not NaN; (rows, series)."""
    rows = np.arange(len(values))[:, None]
    latest = np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
    return pivots.pick(values, np.concatenate([np.full((1, values.shape[1]), -1), latest[:-1]]))


@in_lanes
def relative_changes(values: Floats) -> tuple[Floats, Floats, Ints]:
    """Mean and standard deviation (population) of the changes relative to the value before, and how many there are.

    Each of shape (series,).
    """
    earlier = before(values)
    changes = (values - earlier) / earlier
    return *rolling.tail_mean_std(changes, ddof=0), (~np.isnan(changes)).sum(axis=0)


@in_lanes
def count_up_to(values: Floats, limit: Floats) -> Ints:
    """How many rows are not above a limit of each series; (series,)."""
    return (values <= limit).sum(axis=0)


@in_lanes
def products_with_places(values: Floats) -> Floats:
    """Sum of the values that are there, each times how many there are before it; (series,)."""
    return rolling.tail_sum((np.cumsum(~np.isnan(values), axis=0) - 1.0) * values)


@in_lanes
def streak(signs: Floats | Ints, here: Bools) -> Floats:
    """Rows from the newest on until a sign opposite to the newest one that is not 0, with that sign; (series,).

    Of the rows that are here.
    """
    marked = here & (signs != 0)
    direction = pivots.pick(signs, pivots.newest(marked, 1), 0.0)[0]
    stop = pivots.newest(marked & (signs == -direction), 1)[0]
    length = (here & (np.arange(len(signs))[:, None] > stop)).sum(axis=0)
    return direction * length


@in_lanes
def streak_of_changes(values: Floats) -> Floats:
    """``streak`` of the changes from each value to the next; (series,)."""
    signs = np.sign(values - before(values))
    return streak(signs, ~np.isnan(signs))
