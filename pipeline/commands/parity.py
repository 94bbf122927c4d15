"""``parity``: comparing two result databases."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base import folders
from ..base.errors import Exit, UsageError
from . import options
from .console import cells, say_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from ..parity.compare import Finding, Question, Report, Rows

#: Findings that are shown, and symbols that are named in each; ``--json`` has more.
SHOWN, NAMED = 30, 3
_MOST_SEED, _MOST_ATOL = 999_999_999, 1e18
FIGURES = (
    ("rows A", "rows_a"),
    ("rows B", "rows_b"),
    ("repeated A", "repeated_a"),
    ("repeated B", "repeated_b"),
    ("only A", "only_a"),
    ("only B", "only_b"),
    ("compared", "rows_compared"),
    ("values", "values_compared"),
)


def parity(
    a: Annotated[Path, typer.Argument(metavar="A", help="A result database.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The one to compare it with.")],
    tables: Annotated[str | None, typer.Option("--tables", help="Names or ids. Default: all.")] = None,
    intervals: Annotated[str | None, typer.Option("--intervals", help="Such as 5m,1h. Default: all.")] = None,
    symbols: Annotated[str | None, typer.Option("--symbols", help="SYMBOL,SYMBOL. Default: all.")] = None,
    sample: Annotated[str, typer.Option("--sample", help="Part of the rows whose values are compared.")] = "100%",
    seed: Annotated[int, typer.Option("--seed", min=0, max=_MOST_SEED, help="Another seed is another sample.")] = 0,
    rtol: Annotated[
        float, typer.Option("--rtol", min=0, max=1, help="Numbers may differ by this part of the larger one.")
    ] = 1e-9,
    atol: Annotated[float, typer.Option("--atol", min=0, max=_MOST_ATOL, help="Or by this much.")] = 0.0,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="TABLE, TABLE:COLUMN, TABLE@INTERVAL or TABLE:COLUMN@INTERVAL; also repeated."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare two result databases: rows by key, then every value of the rows that both have.

    Exits with 0 where they agree, with 1 where they do not, with 2 where one cannot be read.

    Example: candlemill parity old.db new.db --sample 5% --allow '*:市场占比' --allow base_data@1w
    """
    from ..parity.compare import Question, compare
    from ..parity.exceptions import Allowance
    from ..settings import items, parse_intervals

    question = Question(
        tables=items(tables),
        intervals=[interval.name for interval in parse_intervals(intervals)] if intervals else [],
        symbols=items(symbols),
        share=_share(sample),
        seed=seed,
        rtol=rtol,
        atol=atol,
        allow=[Allowance.parse(rule) for rule in items(",".join(allow or []))],
    )
    a, b = folders.given(a), folders.given(b)
    report = compare((a, b), question)
    if as_json:
        say_json(_as_json((a, b), question, report))
    else:
        _show(question, report)
    if report.differences:
        raise typer.Exit(Exit.DIFFERENT)


def _share(text: str) -> float:
    percent = re.fullmatch(r"(\d{1,3}(?:\.\d{1,15})?)%", text)
    if not percent:
        raise UsageError(f"--sample {text!r} is not a percentage such as 5%")
    return float(percent[1]) / 100


def _as_json(paths: tuple[Path, Path], question: Question, report: Report) -> dict[str, Any]:
    return {
        "a": str(paths[0]),
        "b": str(paths[1]),
        "equal": not report.differences,
        "differences": report.differences,
        "allowed": {rule.text: report.allowed(rule) for rule in question.allow},
        "rtol": question.rtol,
        "atol": question.atol,
        "sample": question.share,
        "seed": question.seed,
        **asdict(report),
    }


def _show(question: Question, report: Report) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(_counts(report))
    if report.findings:
        console.print()
        console.print(_findings(report.findings))
    if len(report.findings) > SHOWN:
        console.print(f"… and {len(report.findings) - SHOWN} more: --json has them all")
    for line in _notes(report):
        console.print(*cells(line))
    for rule in question.allow:
        console.print(*cells(f"allowed by {rule.text}: {report.allowed(rule)}"))
    verdict = f"{report.differences} differences" if report.differences else "no difference"
    console.print(f"{verdict}, {sum(counted.values_compared for counted in report.rows)} values compared")


def _counts(report: Report) -> Table:
    """A line per table; where something departs, one per interval."""
    from rich.table import Table

    shown = Table("table", "interval", box=None, header_style="bold")
    for title in (*(title for title, _ in FIGURES), "departures"):
        shown.add_column(title, justify="right")
    departing = {found.table for found in report.findings}
    departures: Counter[tuple[str, str]] = Counter()
    for found in report.findings:
        departures[found.table, found.interval or "none"] += found.departures
    groups: dict[tuple[str, str], list[Rows]] = {}
    for rows in report.rows:
        interval = rows.interval or "none" if rows.table in departing else "all"
        groups.setdefault((rows.table, interval), []).append(rows)
    for place, group in groups.items():
        figures = [sum(getattr(rows, name) for rows in group) for _, name in FIGURES]
        shown.add_row(*cells(*place, *map(str, [*figures, departures[place]])))
    return shown


def _findings(findings: Sequence[Finding]) -> Table:
    """The largest findings, first those that are not allowed."""
    from rich.table import Table

    shown = Table("departure", "table", "interval", "column", box=None, header_style="bold")
    shown.add_column("count", justify="right")
    shown.add_column("relative", justify="right")
    for title in ("symbols", "example", "allowed by"):
        shown.add_column(title)
    for found in sorted(findings, key=lambda found: (found.allowed_by is not None, -found.departures))[:SHOWN]:
        row = (
            found.kind,
            found.table,
            found.interval or "",
            found.column or "",
            str(found.departures),
            "" if found.largest is None else f"{found.largest:.1e}",
            _symbols(found),
            _example(found),
            found.allowed_by or "",
        )
        shown.add_row(*cells(*row))
    return shown


def _symbols(found: Finding) -> str:
    named = [f"{one['symbol']} {one['departures']}" for one in found.foremost[:NAMED]]
    more = [f"{found.symbols - NAMED} more"] if found.symbols > NAMED else []
    return ", ".join([*named, *more])


def _example(found: Finding) -> str:
    if not found.example:
        return ""
    symbol, time, a, b = ("NULL" if value is None else value for value in found.example.values())
    return f"{symbol} {time}: {a} | {b}" if found.column else f"{symbol} {time}"


def _notes(report: Report) -> Iterator[str]:
    """What was not compared."""
    tables: dict[tuple[str, str], list[str]] = {}
    for lone in report.columns:
        tables.setdefault((lone["only_in"], lone["column"]), []).append(lone["table"])
    for (side, column), names in tables.items():
        where = names[0] if len(names) == 1 else f"{len(names)} tables"
        yield f"not compared, only in {side}: column {column} of {where}"
    if report.left_out:
        yield f"not compared, no results: {', '.join(report.left_out)}"
