"""``explain``: how a value came about."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base.errors import UsageError
from ..options import Options, settings_of
from . import completion, files, options, sources
from .console import say, say_json, set_up_log

if TYPE_CHECKING:
    from ..analysis.explain import Explanation

#: Significant digits of the numbers in a table for people; JSON and CSV have all of them.
_DIGITS = 10


@options.takes("explain")
def explain(
    asked: Options,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="Such as BTCUSDT.", autocompletion=completion.symbol)],
    indicator: Annotated[
        str, typer.Option("--indicator", help="Its id or table.", autocompletion=completion.indicator)
    ],
    interval: options.IntervalOption = "1h",
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=options.MOST_SHOWN, help="Newest bars that are printed.")
    ] = 12,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all bars and series as CSV, for a spreadsheet.")] = False,
    as_json: options.AsJson = False,
    demo: files.Demo = False,
) -> None:
    """Print how an indicator's newest value came about: bars, intermediate series, formula with its numbers.

    Example: candlemill explain BTCUSDT --interval 1h --indicator kdj
    """
    from ..analysis.explain import as_dict
    from ..analysis.explain import explain as explained
    from ..settings import parse_indicators, parse_interval
    from . import tabular

    set_up_log(asked)
    form = tabular.Form(as_csv, as_json)
    chosen, wanted = parse_indicators(indicator), parse_interval(interval)
    if len(chosen) != 1:
        raise UsageError(f"explain takes one indicator, {indicator!r} are {len(chosen)}: give one by --indicator")
    with sources.source(asked, demo) as found:
        settings = settings_of(replace(found, symbols=symbol), os.environ)
        explanation = explained(replace(settings, intervals=(wanted,), indicators=chosen))
    if form.csv:
        tabular.write_csv(tabular.answer_of(explanation.bars), sys.stdout)
    elif form.json:
        say_json(tabular.plain(as_dict(explanation)), indent=1)
    else:
        _print(explanation, rows)


def _print(found: Explanation, rows: int) -> None:
    from ..analysis.explain import described

    for line in described(found):
        say(line)
    say("")
    say("formula")
    for step in found.formula:
        say(f"  {step.text}")
        if step.numbers:
            say(f"      = {step.numbers}")
        if step.result is not None and step.numbers != _number(step.result):
            say(f"      = {_number(step.result)}")
    _print_values(found)
    if found.defects:
        say("")
        say("what the replaced service does with it, and so the profile parity")
        for defect in found.defects:
            say(f"  {defect.number}. {defect.what}; {defect.verdict.value}: {defect.how}")
    if found.notes:
        say("")
        say("at the newest bar: " + ", ".join(f"{name} = {_number(value)}" for name, value in found.notes.items()))
    say("")
    say("the newest bars, and the series over them")
    _print_rows(found.bars.slice(max(0, found.bars.num_rows - rows)))
    for name, table in found.steps.items():
        say("")
        say(f"step {name} of the statement" + (f", its last {rows} rows" if table.num_rows > rows else ""))
        _print_rows(table.slice(max(0, table.num_rows - rows)))


def _print_values(found: Explanation) -> None:
    from .fitting import Column, print_table

    say("")
    say("values")
    lines = [
        [
            value.column.name,
            _shown(value.value),
            "NULL" if value.stored is None else str(value.stored),
            value.label,
            _shown(found.other_values[value.column.name]),
            value.english or value.column.meaning,
        ]
        for value in found.values
    ]
    columns = [
        Column("column"), Column("value", right=True, folds=True), Column("stored", right=True, folds=True, rank=2),
        Column("in SQLite", rank=1), Column(f"by {found.other_profile}", right=True, folds=True, rank=3),
        Column("meaning", folds=True, rank=4),
    ]  # fmt: skip
    print_table(columns, lines)


def _print_rows(table: Any) -> None:
    from . import tabular

    tabular.print_table(tabular.answer_of(table), sys.stdout, table.num_rows)


def _shown(value: object) -> str:
    return "NULL" if value is None else _number(value)


def _number(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
