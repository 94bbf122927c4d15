"""Progress bars on a terminal; nothing elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from ..base import ending
from ..base.shown import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


log = logging.getLogger("candlemill")

#: Between two lines of the log that say how far it is.
_SECONDS = 10.0


@contextmanager
def stage_bar(stages: Sequence[str], quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell which stage begins; it moves a bar on standard error where that is a terminal."""
    with _bar("read", len(stages), quiet) as move:
        yield lambda stage: move(visible(stage), stages.index(stage))


@contextmanager
def count_bar(total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell which of some things, each as long as the other, begins; it moves such a bar, too."""
    done = count()
    with _bar("", total, quiet) as move:
        yield lambda thing: move(visible(thing)[-40:], next(done))


class Share:
    """How much of some bars is done, how fast, and how long the rest will take if it goes on like that."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._tasks = self._amount = self._ended = self._done = self._computed = 0
        self._begun = clock()

    def begin(self, tasks: int, amount: int) -> None:
        """There are so many tasks, which come to so much work."""
        self._tasks, self._amount, self._begun = tasks, amount, self._clock()

    def move(self, amount: int, computed: bool) -> None:
        """A task of some of the work is done; what was done before says nothing about the time that the rest takes."""
        self._ended += 1
        self._done += amount
        self._computed += amount if computed else 0

    @property
    def done(self) -> float:
        """The share that is done."""
        return self._done / self._amount if self._amount else 0.0

    def __str__(self) -> str:
        text = f"{self._ended} of {self._tasks} tasks, {self.done:.0%}"
        if not self._computed:
            return text
        seconds = max(1e-3, self._clock() - self._begun)
        left = seconds * (self._amount - self._done) / self._computed
        return f"{text}, {self._computed / seconds:.0f} bars/s, {duration(left)} left"


def duration(seconds: float) -> str:
    """A time in minutes, or in hours, as people say it."""
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} h" if hours > 1 else f"{minutes:.1f} min"


@contextmanager
def share_bar(quiet: bool) -> Iterator[tuple[Callable[[int, int], None], Callable[[int, bool], None]]]:
    """Functions to say how much there is to do, and what was done.

    They move a bar on standard error where that is a terminal; else there is a line of the log now and then.
    """
    share, said = Share(), monotonic()
    with _bar("", 100, quiet) as show:

        def move(amount: int, computed: bool) -> None:
            nonlocal said
            share.move(amount, computed)
            show(str(share), int(100 * share.done))
            if not sys.stderr.isatty() and monotonic() - said > _SECONDS:
                said = monotonic()
                log.info("%s", share)

        yield share.begin, move


@contextmanager
def _bar(first: str, total: int, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda _description, _completed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    # It hides the cursor of the terminal until it stops.
    with ending.owned(bar.start, lambda _: bar.stop()):
        task = bar.add_task(first, total=total)
        yield lambda description, completed: bar.update(task, description=description, completed=completed)
