"""A progress bar by stage, on a terminal; nothing elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@contextmanager
def stage_bar(stages: Sequence[str], quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function to tell which stage begins; it moves a bar on standard error where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("read", total=len(stages))

        def begin(stage: str) -> None:
            bar.update(task, description=stage, completed=stages.index(stage))

        yield begin
