"""Walking over time: which series are under way at each row of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from indicators.contract import Ints


def steps(first: Ints, rows: int) -> Iterator[tuple[int, int, int]]:
    """Rows in which some series is under way: (row, series under way before it, series under way in it).

    ``first`` never falls from column to column, so the series under way are a prefix of the columns, and each step of a
    recursion works on contiguous slices.
    """
    if len(first) == 0:
        return
    start = int(first[0])
    under_way = np.searchsorted(first, np.arange(start, rows), side="right").tolist()
    before = 0
    for row, now in enumerate(under_way, start):
        yield row, before, now
        before = now
