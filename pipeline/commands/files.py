"""Which work file a command reads: that of a real run, or the demo's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..options import DEMO_WORK_FILE, Options
from .console import say

if TYPE_CHECKING:
    from pathlib import Path

Demo = Annotated[bool, typer.Option("--demo", help="Read what `candlemill demo` left.")]


def work_file(asked: Options, demo: bool) -> Path:
    """The work file to read. Where it is the demo's without ``--demo``, a line on standard error says so."""
    from ..workfile.reader import is_of_demo

    if demo:
        return asked.duckdb if is_of_demo(asked.duckdb) else DEMO_WORK_FILE
    if asked.duckdb == Options.duckdb and not asked.duckdb.exists() and is_of_demo(DEMO_WORK_FILE):
        say(f"there is no {asked.duckdb} of a run: {DEMO_WORK_FILE} is read, the demo's invented prices", err=True)
        return DEMO_WORK_FILE
    if is_of_demo(asked.duckdb):
        say(f"{asked.duckdb} holds the demo's invented prices", err=True)
    return asked.duckdb
