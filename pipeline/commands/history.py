"""``history``: indicators at each of the newest bars."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from ..options import Options, settings_of
from . import completion, files, options, sources
from .console import set_up_log


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
    with sources.source(asked, demo) as found:
        settings = replace(settings_of(replace(found, symbols=",".join(symbols)), os.environ), intervals=(chosen,))
        table = read_history(settings, bars)
    tabular.put_out(tabular.answer_of(table), form)
