"""The times of rows as a few ranges, so that what lies between rows of 1970 and of 2100 is not looked at."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ..base.ranges import Range, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

#: Rows that are so close belong together, whatever their interval.
_CLOSE = timedelta(days=1)
#: More ranges than this become fewer and longer ones.
_MOST = 100


class Stretches:
    """Collects the times of rows; those of neighbours become one range. There are never many ranges.

    Args:
        step: from a row to the next one of its series.
    """

    def __init__(self, step: timedelta) -> None:
        self._step = step
        self._close = max(_CLOSE, 2 * step)
        self._found: list[tuple[datetime, datetime]] = []

    def add(self, moment: datetime) -> None:
        """Take the time of a row in."""
        if self._found:
            first, last = self._found[-1]
            if first - self._close <= moment <= last + self._close:
                self._found[-1] = min(first, moment), max(last, moment)
                return
        self._found.append((moment, moment))
        if len(self._found) > 2 * _MOST:
            self._join()

    @property
    def ranges(self) -> list[Range]:
        """The ranges that hold all rows, in order: from a first row up to a step after the last one."""
        self._join()
        return union(Range(first, last + self._step) for first, last in self._found)

    def _join(self) -> None:
        while True:
            joined: list[tuple[datetime, datetime]] = []
            for first, last in sorted(self._found):
                if joined and first - joined[-1][1] <= self._close:
                    joined[-1] = joined[-1][0], max(joined[-1][1], last)
                else:
                    joined.append((first, last))
            self._found = joined
            if len(joined) <= _MOST:
                return
            self._close *= 2


def overlapping(all_ranges: Sequence[Iterable[Range]]) -> list[list[int]]:
    """Which of some ranges of ranges overlap, directly or by others: groups of their numbers, each in order."""
    group = list(range(len(all_ranges)))

    def first_of(number: int) -> int:
        while group[number] != number:
            group[number] = group[group[number]]
            number = group[number]
        return number

    reached: tuple[datetime, int] | None = None
    for one, number in sorted((one, number) for number, ranges in enumerate(all_ranges) for one in ranges):
        if reached and one.start < reached[0]:
            group[first_of(number)] = first_of(reached[1])
            reached = max(reached[0], one.until), number
        else:
            reached = one.until, number
    groups: dict[int, list[int]] = {}
    for number in range(len(all_ranges)):
        groups.setdefault(first_of(number), []).append(number)
    return list(groups.values())
