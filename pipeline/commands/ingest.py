"""``ingest``: archives of other places into the source database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..base import ending
from ..base.errors import Exit, NoCandlesError, UsageError
from ..options import Options
from . import options
from .console import say, say_json, set_up_log
from .fitting import Column, print_table

if TYPE_CHECKING:
    from ..ingest.report import Conflict, FileReport, Hidden, Report, SeriesReport

#: Counts that are left out first where a terminal is narrow.
_RANKS = {"unchanged": 4, "updated": 3, "inserted": 3}

app = typer.Typer(help="Load downloaded archives into the source database.")


@app.callback()
def _group() -> None: ...


@app.command("binance-vision")
@options.takes("ingest")
def binance_vision(
    asked: Options,
    paths: options.ArchivePaths,
    exchange: Annotated[str, typer.Option("--exchange", help="Exchange to file the rows under.")] = Options.exchange,
    as_json: options.AsJson = False,
) -> None:
    """Load klines and metrics archives of Binance (data.binance.vision); a schema that is missing is created.

    Loading again changes nothing. Bad lines are left out and reported. Exits with 2 where a file could not be loaded
    (the others are), with 3 where the database fails, with 5 where there was nothing to load.

    Example: candlemill ingest binance-vision ~/downloads
    """
    from ..ingest.archives import find
    from ..ingest.load import ingest
    from .progress import count_bar

    ending.leaves("the files before stay loaded")
    set_up_log(asked)
    if not asked.source:
        raise UsageError("no database: give --source URL or set DATABASE_URL")
    files = find(paths)
    with count_bar(len(files), asked.shows_no_bar) as progress:
        report = ingest(asked.source, files, exchange, progress)
    if as_json:
        say_json(report.as_json())
    else:
        _show(report)
    if report.of_state("failed"):
        raise typer.Exit(Exit.USAGE)
    if not report.series:
        raise NoCandlesError("nothing was loaded: the reasons are listed above")


def _show(report: Report) -> None:
    from ..ingest.report import COUNTS

    if report.series:
        texts = [
            Column("symbol"),
            Column("what"),
            Column("files", rank=1),
            Column("first", rank=2),
            Column("last", rank=2),
        ]
        columns = [*texts, *(Column(name, right=True, rank=_RANKS.get(name, 0)) for name in (*COUNTS, "missing"))]
        rows = []
        for series in report.series:
            span = [f"{moment:%Y-%m-%d %H:%M}" for moment in (series.first, series.last)]
            counts = [*(series.total(name) for name in COUNTS), series.missing]
            rows.append((series.symbol, series.what, str(len(series.files)), *span, *map(str, counts)))
        print_table(columns, rows)
    for line in _remarks(report):
        say(line)


def _remarks(report: Report) -> list[str]:
    found = [line for series in report.series for line in _gap_lines(series)]
    found += _conflict_lines(report)
    found += [_hidden_line(one) for one in report.hidden]
    for file in report.files:
        found += _reject_lines(file)
    for state in ("skipped", "failed"):
        found += [f"{state} {file.file}: {file.reason}" for file in report.of_state(state)]
    return found


def _gap_lines(series: SeriesReport) -> list[str]:
    from ..ingest.report import EXAMPLES

    lines = [
        f"missing {series.symbol} {series.what}: {gap.missing} from {gap.first:%Y-%m-%d %H:%M} "
        f"to {gap.last:%Y-%m-%d %H:%M}"
        for gap in series.gaps[:EXAMPLES]
    ]
    return _and_more(lines, len(series.gaps), f"missing {series.symbol} {series.what}", "more gaps")


def _conflict_lines(report: Report) -> list[str]:
    from ..ingest.report import EXAMPLES

    lines = [
        f"conflict {one.symbol} {one.what}: {one.rows} from {one.first:%Y-%m-%d %H:%M} to {one.last:%Y-%m-%d %H:%M} "
        f"in {one.file} are not taken: {one.taken} says otherwise, and {_why(one)}"
        for one in report.conflicts[:EXAMPLES]
    ]
    return _and_more(lines, len(report.conflicts), "conflict", "more pairs of files; --json has all of them")


def _why(conflict: Conflict) -> str:
    if conflict.what == "metrics":
        return "has them closer to their time, or more or greater values"
    return "has more trades, or as many and more volume"


def _hidden_line(hidden: Hidden) -> str:
    what = f"{hidden.buckets} buckets" if hidden.buckets else "what was loaded"
    what += f" of {hidden.symbol}" if hidden.symbol else ""
    span = f"{hidden.first:%Y-%m-%d %H:%M} to {hidden.last:%Y-%m-%d %H:%M}"
    return f"hidden in {hidden.aggregate}: {what} from {span}: {hidden.reason}"


def _reject_lines(file: FileReport) -> list[str]:
    lines = [f"rejected {file.file}:{bad.line}: {bad.reason}" for bad in file.rejects]
    return _and_more(lines, file.rejected, f"rejected {file.file}", "more lines")


def _and_more(lines: list[str], count: int, of: str, rest: str) -> list[str]:
    """Some lines of ``count``, and one that says how many there are beyond them."""
    more = count - len(lines)
    return [*lines, f"{of}: {more} {rest}"] if more else lines
