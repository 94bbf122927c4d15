"""``history``: indicators at each of the newest bars."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError
from ..options import DEMO_WORK_FILE, Options, settings_of
from . import completion, files, options
from .console import say, set_up_log

if TYPE_CHECKING:
    from collections.abc import Iterator


@options.takes("history")
def history(
    asked: Options,
    symbols: Annotated[
        list[str],
        typer.Argument(metavar="SYMBOL", help="Such as BTCUSDT,ETHUSDT.", autocompletion=completion.symbol),
    ],
    interval: options.IntervalOption = "1h",
    bars: Annotated[int, typer.Option("--bars", min=1, max=options.MOST_SHOWN, help="Bars of each symbol.")] = 100,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    parquet: options.Parquet = None,
    demo: files.Demo = False,
) -> None:
    """Print indicators at each of the newest bars, as a run at each bar would have computed them.

    A bar that forms is as a run sees it now. The values are those of the bars that the source has today.

    Example: candlemill history BTCUSDT,ETHUSDT --interval 1h --indicators kdj,macd --bars 200 --csv
    """
    from ..history import read_history
    from ..settings import parse_interval
    from . import tabular

    set_up_log(asked)
    form = tabular.Form(as_csv, as_json, parquet, options.MOST_SHOWN)
    chosen = parse_interval(interval)
    with _source(asked, demo) as found:
        settings = replace(settings_of(replace(found, symbols=",".join(symbols)), os.environ), intervals=(chosen,))
        table = read_history(settings, bars)
    tabular.put_out(tabular.answer_of(table), form)


@contextmanager
def _source(asked: Options, demo: bool) -> Iterator[Options]:
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
