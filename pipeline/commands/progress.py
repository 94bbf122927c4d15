"""Progress bars on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from ..base import ending
from ..base.shown import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


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
