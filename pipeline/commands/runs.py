"""``runs``: the history of runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import Options
from . import files, options
from .console import cells, say, say_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Figures of a record as the table shows them, under their names in the record.
_COUNTERS = ("symbols", "indicators", "rows", "pg_queries", "sqlite_commits", "sqlite_rows_pruned", "peak_rss_mb")
_SECONDS = ("total", "t_read", "t_compute", "t_write")


@options.takes("runs")
def runs(
    asked: Options,
    last: Annotated[
        int | None,
        typer.Option("--last", min=1, max=options.MOST_SHOWN, help="Only so many, the newest. Default: all."),
    ] = None,
    as_json: options.AsJson = False,
    plot: options.PlotFile = None,
    theme: options.ThemeOption = None,
    demo: files.Demo = False,
) -> None:
    """List the runs so far, the newest last: durations in seconds, counters, peak memory.

    Example: candlemill runs --last 20 --plot data/runs.svg
    """
    from ..workfile.reader import published, run_records

    with published(files.work_file(asked, demo)) as connection:
        records = run_records(connection, last)
    if plot:
        from ..plotting.canvas import draw
        from ..plotting.trend import trend

        draw(plot, theme, "Runs of candlemill", lambda palette: trend(records, palette))
        say(f"drawn in {plot}", err=True)
    if as_json:
        say_json(records)
    else:
        _print(records)


def _print(records: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("started", "run", "intervals", box=None, header_style="bold")
    for heading in (*_SECONDS, *_COUNTERS, "pg_mb", "skipped", "errors"):
        table.add_column(heading, justify="right")
    for record in records:
        row = (
            record["started_at"][:19],
            record["run_id"][:8],
            ",".join(record["intervals"]),
            *(f"{record[name]:.2f}" for name in _SECONDS),
            *(str(record[name]) for name in _COUNTERS),
            f"{record['pg_bytes'] / 2**20:.1f}",
            str(sum(record["skipped"].values())),
            str(len(record["errors"])),
        )
        table.add_row(*cells(*row))
    Console(width=None if sys.stdout.isatty() else 220).print(table)
