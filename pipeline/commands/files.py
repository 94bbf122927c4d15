"""Which files a command reads: those of a real run, or the demo's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..options import DEMO_RESULTS, DEMO_WORK_FILE, Options
from .console import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Demo = Annotated[bool, typer.Option("--demo", help="Read what `candlemill demo` left.")]


def work_file(asked: Options, demo: bool) -> Path:
    """The work file to read. Where it is the demo's without ``--demo``, a line on standard error says so."""
    from ..workfile.reader import is_of_demo

    return _read(asked.duckdb, Options.duckdb, DEMO_WORK_FILE, is_of_demo, demo)


def result_database(asked: Options, demo: bool) -> Path:
    """The result database to read; see ``work_file``."""
    from ..results.reader import is_of_demo

    return _read(asked.sqlite, Options.sqlite, DEMO_RESULTS, is_of_demo, demo)


def _read(asked: Path, usual: Path, of_demo: Path, is_of_demo: Callable[[Path], bool], demo: bool) -> Path:
    if demo:
        return asked if is_of_demo(asked) else of_demo
    if asked == usual and not asked.exists() and is_of_demo(of_demo):
        say(f"there is no {asked} of a run: {of_demo} is read, the demo's invented prices", err=True)
        return of_demo
    if is_of_demo(asked):
        say(f"{asked} holds the demo's invented prices", err=True)
    return asked
