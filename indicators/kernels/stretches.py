"""Walking over time: which series are under way at each row of a panel."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..contract import Ints


def stretches(rows: int, *begins: Ints) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Stretches of rows in which nothing changes: (start, stop, how many series of each ``begins`` have begun).

    A ``begins`` holds the row from which each series counts, never falling from column to column, so the series that
    have begun are a prefix of the columns, and a recursion over a stretch works on the same contiguous slices. The rows
    before the first ``begins`` has any series are left out.
    """
    counts = np.stack([np.searchsorted(begin, np.arange(rows), side="right") for begin in begins])
    changes = np.flatnonzero((counts[:, 1:] != counts[:, :-1]).any(axis=0)) + 1
    for start, stop in pairwise([0, *changes.tolist(), rows]):
        begun = tuple(counts[:, start].tolist()) if start < stop else (0,)
        if begun[0]:
            yield start, stop, begun
