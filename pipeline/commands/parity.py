"""``parity``: comparing two result databases."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..base import folders
from ..base.errors import Exit, UsageError
from . import options
from .console import say, say_json
from .fitting import Column, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..parity.compare import Finding, Question, Report, Rows

#: Findings that are shown, and symbols that are named in each; ``--json`` has more.
SHOWN, NAMED = 30, 3
_MOST_SEED, _MOST_ATOL = 999_999_999, 1e18
#: Figures of the counts: the title, the name in the report, and which of them are left out first on a narrow terminal.
FIGURES = (
    ("rows A", "rows_a", 2),
    ("rows B", "rows_b", 2),
    ("repeated A", "repeated_a", 3),
    ("repeated B", "repeated_b", 3),
    ("only A", "only_a", 1),
    ("only B", "only_b", 1),
    ("compared", "rows_compared", 2),
    ("values", "values_compared", 1),
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
    verdict = f"{report.differences} differences" if report.differences else "no difference"
    say(f"{verdict}, {sum(counted.values_compared for counted in report.rows)} values compared")
    for rule in question.allow:
        say(f"allowed by {rule.text}: {report.allowed(rule)}")
    say("")
    _show_counts(report)
    if report.findings:
        say("")
        _show_findings(report.findings)
    if len(report.findings) > SHOWN:
        say(f"… and {len(report.findings) - SHOWN} more: --json has them all")
    for line in _notes(report):
        say(line)


def _show_counts(report: Report) -> None:
    """A line per table; where something departs, one per interval."""
    departing = {found.table for found in report.findings}
    departures: Counter[tuple[str, str]] = Counter()
    for found in report.findings:
        departures[found.table, found.interval or "none"] += found.departures
    groups: dict[tuple[str, str], list[Rows]] = {}
    for rows in report.rows:
        interval = rows.interval or "none" if rows.table in departing else "all"
        groups.setdefault((rows.table, interval), []).append(rows)
    columns = [
        *(Column("table"), Column("interval")),
        *(Column(title, right=True, rank=rank) for title, _, rank in FIGURES),
        Column("departures", right=True),
    ]
    shown = []
    for place, group in groups.items():
        figures = [sum(getattr(rows, name) for rows in group) for _, name, _ in FIGURES]
        shown.append((*place, *map(str, [*figures, departures[place]])))
    print_table(columns, shown)


def _show_findings(findings: Sequence[Finding]) -> None:
    """The largest findings, first those that are not allowed."""
    columns = [
        *(Column("departure", folds=True), Column("table"), Column("interval"), Column("column", folds=True)),
        Column("count", right=True),
        Column("relative", right=True, rank=1),
        *(Column("symbols", folds=True, rank=3), Column("example", folds=True, rank=2)),
        Column("allowed by", folds=True, rank=1),
    ]
    rows = [
        (
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
        for found in sorted(findings, key=lambda found: (found.allowed_by is not None, -found.departures))[:SHOWN]
    ]
    print_table(columns, rows)


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
