"""``stability``: how much the newest values depend on the length of the window, and on a bar that forms."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import Options, settings_of
from . import files, options, sources
from .console import say, set_up_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..analysis.stability import Change


@options.takes("stability")
def stability(
    asked: Options,
    interval: options.IntervalOption = "1h",
    bars: Annotated[
        int, typer.Option("--bars", min=1, max=10_000, help="Closed bars of each symbol that are looked at.")
    ] = 48,
    lookbacks: Annotated[
        str, typer.Option("--lookbacks", help="Lengths of windows; each is compared with the longest.")
    ] = "200,400,800,1600",
    output: options.PictureFile = None,
    theme: options.ThemeOption = None,
    as_csv: options.AsCsv = False,
    as_json: options.AsJson = False,
    parquet: options.Parquet = None,
    demo: files.Demo = False,
) -> None:
    """Show how much the newest values change with the length of the window, and while a bar forms.

    In the table, of each indicator the column that changes most, the bar's own price and turnover excepted: how far its
    numbers lie apart at 19 of 20 bars, in percent of their typical size, and at how many bars another word is said. The
    other forms have every column.

    Example: candlemill stability --symbols BTCUSDT,ETHUSDT --interval 1h --indicators macd,kdj,rsi
    """
    from ..analysis.stability import greatest
    from ..analysis.stability import stability as measured
    from ..settings import parse_interval
    from . import tabular

    set_up_log(asked)
    form = tabular.Form(as_csv, as_json, parquet)
    chosen, lengths = parse_interval(interval), _lengths(lookbacks)
    with sources.source(asked, demo) as found:
        settings = replace(settings_of(found, os.environ), intervals=(chosen,))
        table = measured(settings, bars, lengths)
    changes = greatest(table)
    if form.is_table:
        _print(changes)
    else:
        tabular.put_out(tabular.answer_of(table), form)
    if output is not None:
        from ..plotting.canvas import draw
        from ..plotting.stability import firmness

        title = f"How firm the newest value is   {chosen.name}"
        draw(output, theme, title, lambda palette: firmness(changes, title, palette))
        say(f"drawn in {output}", err=True)


def _lengths(text: str) -> list[int]:
    from ..base.errors import UsageError
    from ..settings import items

    words = items(text)
    if not words or not all(word.isdecimal() and 0 < int(word) <= options.MOST_SHOWN for word in words):
        raise UsageError(f"--lookbacks {text!r} is no list of lengths from 1 to {options.MOST_SHOWN}, as 200,400 is")
    return [int(word) for word in words]


def _print(changes: Mapping[str, Mapping[str, Change]]) -> None:
    """A line for each indicator, a column for each form of the window."""
    from .fitting import Column, print_table

    forms = list(dict.fromkeys(form for of_it in changes.values() for form in of_it))
    lines = [[name, *(_cell(of_it.get(form)) for form in forms)] for name, of_it in changes.items()]
    columns = [Column("indicator"), *(Column(form, right=True, rank=place) for place, form in enumerate(forms))]
    print_table(columns, lines, "--csv, --json and --parquet have it")


def _cell(change: Change | None) -> str:
    """The change of the numbers, and that of the words."""
    said = []
    if change is not None and change.numbers is not None:
        said.append(_percent(change.numbers))
    if change is not None and change.words is not None:
        said.append(f"{_percent(change.words)} words")
    return ", ".join(said) or "-"


def _percent(value: float) -> str:
    if not value:
        return "0"
    return "<0.01%" if value < 0.01 else ">999%" if value > 999 else f"{value:.2g}%" if value < 100 else f"{value:.0f}%"
