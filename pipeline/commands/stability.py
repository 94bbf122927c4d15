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
    from collections.abc import Sequence

    import pyarrow as pa


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
    from ..analysis.stability import stability as measured
    from ..settings import parse_interval
    from . import tabular

    set_up_log(asked)
    form = tabular.Form(as_csv, as_json, parquet)
    chosen, lengths = parse_interval(interval), _lengths(lookbacks)
    with sources.source(asked, demo) as found:
        settings = replace(settings_of(found, os.environ), intervals=(chosen,))
        table = measured(settings, bars, lengths)
    if form.is_table:
        _print(table)
    else:
        tabular.put_out(tabular.answer_of(table), form)
    if output is not None:
        from ..analysis.stability import of_indicators
        from ..plotting.canvas import draw
        from ..plotting.stability import firmness

        rows = of_indicators(table)
        title = f"How firm the newest value is   {chosen.name}"
        draw(output, theme, title, lambda palette: firmness(rows, title, palette))
        say(f"drawn in {output}", err=True)


def _lengths(text: str) -> list[int]:
    from ..base.errors import UsageError
    from ..settings import items

    words = items(text)
    if not words or not all(word.isdecimal() and 0 < int(word) <= options.MOST_SHOWN for word in words):
        raise UsageError(f"--lookbacks {text!r} is no list of lengths from 1 to {options.MOST_SHOWN}, as 200,400 is")
    return [int(word) for word in words]


def _print(table: pa.Table) -> None:
    """A line for each indicator, a column for each form of the window."""
    from ..analysis.stability import of_indicators
    from .fitting import Column, print_table

    rows = of_indicators(table)
    forms = list(dict.fromkeys(row["against"] for row in rows))
    lines = []
    for name in dict.fromkeys(row["indicator"] for row in rows):
        of_it = [row for row in rows if row["indicator"] == name]
        lines.append([name, *(_cell([row for row in of_it if row["against"] == form]) for form in forms)])
    columns = [Column("indicator"), *(Column(form, right=True, rank=place) for place, form in enumerate(forms))]
    print_table(columns, lines, "--csv, --json and --parquet have it")


def _cell(rows: Sequence[dict[str, float | None]]) -> str:
    """The greatest change of a column with numbers, and of one with words."""
    numbers = [row["p95_percent"] for row in rows if row["p95_percent"] is not None]
    words = [row["differing_percent"] for row in rows if row["one_missing_percent"] is None and row["compared"]]
    said = [_percent(max(numbers))] if numbers else []
    if words:
        said.append(f"{_percent(max(word for word in words if word is not None))} words")
    return ", ".join(said) or "-"


def _percent(value: float) -> str:
    if not value:
        return "0"
    return "<0.01%" if value < 0.01 else ">999%" if value > 999 else f"{value:.2g}%" if value < 100 else f"{value:.0f}%"
