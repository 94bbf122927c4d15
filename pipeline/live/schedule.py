"""When an interval is due: a grid that begins anew at each bar, a little after its start. No clock is read here.

All grids share their moments as far as they can: an interval that is looked at every 60 s is due together with one
that is looked at every 10 s, so that both make one pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.intervals import bucket_start
from ..settings import items, parse_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..base.intervals import Interval
    from .clock import Reading

#: Seconds between two looks at the forming bar, of intervals up to five minutes and of longer ones.
SHORT_EVERY, LONG_EVERY = 10.0, 60.0


def default_every(interval: Interval) -> float:
    """Seconds between two looks at an interval, where nobody says otherwise."""
    return SHORT_EVERY if interval.length <= timedelta(minutes=5) else LONG_EVERY


def parse_every(text: str | None) -> dict[str, float]:
    """Seconds by interval name of ``1m=10,1h=60``. Raises UsageError."""
    every = {}
    for item in items(text):
        match = re.fullmatch(r"(\w+)=(\d{1,6}(?:\.\d{1,3})?)", item)
        if not match or not float(match[2]):
            raise UsageError(f"--every {item!r} is not INTERVAL=SECONDS with more than 0 seconds, at most 999999")
        every[parse_interval(match[1]).name] = float(match[2])
    return every


@dataclass
class Schedule:
    """The moments at which some intervals are due, and when each was looked at last.

    Attributes:
        intervals: in the order in which they come.
        every: seconds between two looks, by interval name, where they are not the usual ones.
        delay: seconds from the start of a bar to the first look at it.
    """

    intervals: Sequence[Interval]
    every: Mapping[str, float]
    delay: float
    _looked: dict[str, Reading] = field(default_factory=dict)

    def due(self, at: Reading) -> list[Interval]:
        """The intervals that were not looked at since a moment at which they were due."""
        return [interval for interval in self.intervals if self._left(interval, at) <= 0]

    def left(self, at: Reading) -> float:
        """Seconds until an interval is due; 0 or less where one is."""
        return min(self._left(interval, at) for interval in self.intervals)

    def looked(self, intervals: Sequence[Interval], at: Reading) -> None:
        """Note a look."""
        self._looked.update({interval.name: at for interval in intervals})

    def looked_at(self, interval: Interval) -> datetime | None:
        """When an interval was looked at last."""
        looked = self._looked.get(interval.name)
        return looked.now if looked else None

    def next_due(self, interval: Interval, now: datetime) -> datetime:
        """The next moment after now at which an interval is due."""
        delay = timedelta(seconds=self.delay)
        step = timedelta(seconds=self.every.get(interval.name, default_every(interval)))
        start = bucket_start(now - delay, interval)
        last = start + delay + (now - delay - start) // step * step
        return min(last + step, interval.back(start, -1) + delay)

    def next(self, now: datetime) -> datetime:
        """The next moment after now at which any interval is due."""
        return min(self.next_due(interval, now) for interval in self.intervals)

    def _left(self, interval: Interval, at: Reading) -> float:
        looked = self._looked.get(interval.name)
        if looked is None:
            return 0.0
        return at.left(looked, (self.next_due(interval, looked.now) - looked.now).total_seconds())
