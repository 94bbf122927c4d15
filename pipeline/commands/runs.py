"""``runs``: the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..options import Options
from . import files, options
from .console import say, say_json
from .fitting import Column, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Figures of a record as the table shows them, under their names in the record.
_COUNTERS = ("symbols", "indicators", "rows", "pg_queries", "sqlite_commits", "sqlite_rows_pruned", "peak_rss_mb")
_RANKS = {"symbols": 2, "rows": 1, "peak_rss_mb": 2}
#: Runs of the table, where nobody says how many.
_LAST = 20
_SECONDS = ("total", "t_read", "t_compute", "t_write")


@options.takes("runs")
def runs(
    asked: Options,
    last: Annotated[
        int | None,
        typer.Option(
            "--last", min=1, max=options.MOST_SHOWN, help=f"Only so many, the newest. Default: {_LAST} in the table."
        ),
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
        show(records, last)


def show(records: Sequence[Mapping[str, Any]], last: int | None) -> None:
    """Print records as a table, so many of them at most, the newest; None: as many as somebody can look at."""
    shown = records if last else records[-_LAST:]
    columns = [
        Column("started"),
        Column("run"),
        Column("intervals", rank=3),
        *(Column(name, right=True, rank=0 if name == "total" else 1) for name in _SECONDS),
        *(Column(name, right=True, rank=_RANKS.get(name, 4)) for name in _COUNTERS),
        Column("pg_mb", right=True, rank=4),
        Column("skipped", right=True, rank=2),
        Column("errors", right=True),
    ]
    rows = [
        (
            record["started_at"][:19],
            record["run_id"][:8],
            ",".join(record["intervals"]),
            *(f"{record[name]:.2f}" for name in _SECONDS),
            *(str(record[name]) for name in _COUNTERS),
            f"{record['pg_bytes'] / 2**20:.1f}",
            str(sum(record["skipped"].values())),
            str(len(record["errors"])),
        )
        for record in shown
    ]
    print_table(columns, rows)
    if len(shown) < len(records):
        say(f"the newest {len(shown)} of {len(records)} runs: see others with --last N, or --json", err=True)
