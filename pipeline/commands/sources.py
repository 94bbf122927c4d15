"""The source of a command that reads it: the one that is given, or the demo's."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..options import DEMO_WORK_FILE, Options
from .console import say

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def source(asked: Options, demo: bool) -> Iterator[Options]:
    """The options with a source: the one asked for, or else the demo's server, which runs in the block.

    The demo's market ends where it was loaded: there it is looked at from.
    """
    from ..workfile.reader import is_of_demo, published, run_records

    if asked.source and not demo:
        yield asked
        return
    if not (Options.data.is_dir() and is_of_demo(DEMO_WORK_FILE)):
        what = (
            "there is no demo: run `candlemill demo` first"
            if demo
            else "no source: give --source URL or set DATABASE_URL"
        )
        raise UsageError(what)
    from ..demo.server import demo_server

    if not demo:
        say("there is no source: the demo's is read, with its invented prices", err=True)
    with published(DEMO_WORK_FILE) as connection:
        [newest] = run_records(connection, 1)
    with demo_server(Options.data) as url:
        yield replace(asked, source=url, as_of=asked.as_of or newest["as_of"])
