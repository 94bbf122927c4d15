"""Progress bars on a terminal, with the log above them; nothing elsewhere."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from ..base import ending, logs
from ..base.shown import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


log = logging.getLogger("candlemill")

#: Between two lines of the log that say how far it is.
_SECONDS = 10.0
#: Characters of a name beside the bar.
_SHOWN = 40


#: Stages of a run that come after its intervals, as they are shown.
_AFTER = {"write": "writing", "publish": "publishing"}


@contextmanager
def stage_bar(stages: Sequence[str], quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell which stage begins; it moves a bar on standard error where that is a terminal.

    What is counted are the intervals among the stages that are computed.
    """
    intervals = [stage for stage in stages if stage not in _AFTER]

    def doing(stage: str) -> str:
        return _AFTER.get(stage) or f"computing {visible(stage)}"

    with _bar("reading", len(intervals), quiet, "intervals") as move:
        yield lambda stage: move(doing(stage), min(stages.index(stage), len(intervals)))


@contextmanager
def count_bar(total: int, quiet: bool, what: str = "files") -> Iterator[Callable[[str], None]]:
    """A function to tell which of some things, each as long as the other, begins; it moves such a bar, too."""
    done = count()
    with _bar("", total, quiet, what) as move:
        yield lambda thing: move(visible(thing)[-_SHOWN:], next(done))


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
def _bar(first: str, total: int, quiet: bool, what: str = "") -> Iterator[Callable[[str, int], None]]:
    """A function that says what is being done, and how many of ``total`` things are; without ``what``, uncounted."""
    if quiet or not sys.stderr.isatty():
        yield lambda _description, _completed: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    counted = f"{{task.completed:.0f}} of {{task.total:.0f}} {what}" if what else ""
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        # As wide as the others leave room.
        BarColumn(bar_width=None),
        *([TextColumn(counted, markup=False, table_column=Column(no_wrap=True))] if what else []),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, expand=True)

    def start() -> None:
        # The bar hides the cursor, and has its own stream in the place of standard error: what is written to that
        # comes above the bar.
        bar.start()
        logs.follow_standard_error()

    def stop() -> None:
        bar.stop()
        logs.follow_standard_error()

    with ending.owned(start, lambda _: stop()):
        task = bar.add_task(first, total=total)
        yield lambda description, completed: bar.update(task, description=description, completed=completed)
