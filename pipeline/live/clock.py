"""Time as a watch takes it: the clock on the wall, which anybody may set, and one that nobody can.

From the first one bars are looked at, and a span is over by either of them. So a clock that is set back delays nothing,
and after a night in which the machine slept, of which the second one knows nothing, nothing waits either.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


@dataclass(frozen=True)
class Reading:
    """Both clocks at the same time.

    Attributes:
        now: the time of day, in UTC.
        elapsed: seconds of the monotonic clock, from any beginning.
    """

    now: datetime
    elapsed: float

    def left(self, since: Reading, seconds: float) -> float:
        """Seconds until a span from an earlier reading on is over; 0 or less where it is.

        It is over as soon as one of the clocks has passed it, and where the time of day is before its beginning.
        """
        passed = (self.now - since.now).total_seconds()
        return 0.0 if passed < 0 else seconds - max(passed, self.elapsed - since.elapsed)


class Clock:
    """The clocks of this machine."""

    def read(self) -> Reading:
        """Both clocks, now."""
        # In this order a span that is over by the monotonic clock is over by the other, too, unless that was set.
        now = datetime.now(UTC)
        return Reading(now, time.monotonic())

    def wait(self, wake: threading.Event, seconds: float) -> None:
        """Wait for some seconds, or until somebody wakes us."""
        wake.wait(seconds)
