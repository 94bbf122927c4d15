"""The catalogue of indicators as a document: ``make docs`` prints docs/indicators.md."""

from __future__ import annotations

import inspect
import re
import sys
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING

from ...indicators.registry import INDICATORS

if TYPE_CHECKING:
    from ...indicators.contract import Column, Indicator

_HEAD = """# Indicators

<!-- Made from the declarations by `make docs`; a test holds it up to date. Do not edit it by hand. -->

Every table begins with the key `交易对` (symbol), `周期` (interval) and `数据时间` (start of the newest bar, or time of
the newest metrics row, ISO 8601 in UTC). A series with fewer bars than the minimum gets a row with its key and NULL.
Units: *price*, *quote* and *base* are quote currency per coin, quote currency, coins; *percent* is 0 to 100, *fraction*
0 to 1. Rounding applies to SQLite; the work file has full precision. Values below 1 that are rounded "or 6 significant
digits" keep six digits whatever their size.
"""


def render() -> str:
    """The whole document."""
    parts = [_HEAD, _contents()]
    for family, members in groupby(INDICATORS.values(), key=lambda declared: declared.family):
        parts.append(f"## {family.capitalize()}\n")
        parts.extend(_section(declared) for declared in members)
    return "\n".join(parts)


def _description(declared: Indicator) -> tuple[str, str]:
    """Meaning and, where one is named, the source of the formula."""
    if declared.compute is not None:
        text = inspect.getdoc(declared.compute) or declared.title
    else:
        header = files("candlemill").joinpath("sql", f"indicators/{declared.id}.sql").read_text(encoding="utf-8")
        comments = [line.removeprefix("-- ") for line in header.splitlines() if line.startswith("-- ")]
        text = comments[0]
    reference = re.search(r"Sources?: (.+?)\.(?:\s|$)", " ".join(text.split()))
    first = " ".join(text.split("\n\n")[0].split())
    return re.sub(r"\s*Sources?: .*$", "", first), reference[1] if reference else ""


def _contents() -> str:
    rows = [
        _cells(f"[{d.id}](#{d.id})", f"`{d.table}`", d.title, d.family, d.mode, _bars(d), _computed_in(d))
        for d in INDICATORS.values()
    ]
    head = _cells("id", "table", "title", "family", "mode", "minimum bars", "computed in")
    return "\n".join([head, _cells(*["---"] * 7), *rows, ""])


def _cells(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"


def _computed_in(declared: Indicator) -> str:
    return "NumPy" if declared.compute else "SQL"


def _section(declared: Indicator) -> str:
    what, reference = _description(declared)
    source = "candles" if declared.source == "candles" else "futures metrics"
    inputs = f" ({', '.join(declared.inputs)})" if declared.inputs else ""
    others = "".join(f", {bars} at {interval}" for interval, bars in _other_minima(declared))
    parameters = ", ".join(f"{name} {value}" for name, value in declared.parameters.items())
    facts = [
        f"- table `{declared.table}`, in the work file `{declared.id}`",
        f"- mode {declared.mode}, computed in {_computed_in(declared)}",
        f"- formula: {declared.formula}",
        f"- from {source}{inputs}; minimum bars {declared.stored.bars_needed('')}{others}",
    ]
    if parameters:
        facts.append(f"- parameters: {parameters}")
    if declared.intervals:
        facts.append(f"- rows for {', '.join(declared.intervals)} only")
    if reference:
        facts.append(f"- source: {reference}")
    rows = [_row(declared, column) for column in declared.columns]
    table = [
        "| SQLite | work file | type | unit | rounding | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
    ]
    return "\n".join([f"### {declared.id}", "", f"**{declared.title}.** {what}", "", *facts, "", *table, ""])


def _bars(declared: Indicator) -> str:
    return str(declared.stored.bars_needed(""))


def _other_minima(declared: Indicator) -> list[tuple[str, int]]:
    least = declared.stored.min_bars
    by_interval = () if isinstance(least, int) else (interval for interval in least if interval)
    return [(interval, declared.stored.bars_needed(interval)) for interval in by_interval]


def _row(declared: Indicator, column: Column) -> str:
    rounding = str(declared.stored.rounding.get(column.name) or "")
    escaped = column.meaning.replace("|", "\\|")
    words = "".join(f"<br>`{word}`: {english}" for word, english in column.words.items())
    label = declared.label(column)
    return _cells(f"`{label}`", column.name, column.kind.declared, column.unit, rounding, escaped + words)


if __name__ == "__main__":
    sys.stdout.write(render())
