"""``watch``: live operation, and how it is doing."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ..base.errors import UsageError
from ..options import Options, settings_of
from . import options
from .console import cells, say, say_json, set_up_log
from .fitting import Column, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from ..live.health import Health

_STALE = 1


@options.takes("watch")
def watch(
    asked: Options,
    status: Annotated[
        bool, typer.Option("--status", help="Show how the watch of this work file is doing: 0 fresh, 1 stale.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --status: print it as JSON.")] = False,
) -> None:
    """Stay up, and recompute an interval when its newest bars have changed, the forming one included.

    What is due together is one pass and one transaction. It outlives a lost database and a locked result file.

    Example: candlemill watch --symbols auto --intervals 1m,5m,1h --every 1m=5,1h=30 --listen
    """
    set_up_log(asked)
    if status:
        _show_status(asked.duckdb, as_json)
        return
    if as_json:
        raise UsageError("--json goes with --status: a watch prints nothing; its log is JSON with --log-json")
    if not asked.source:
        raise UsageError("no source: give --source URL or set DATABASE_URL")
    from ..live.metrics import check_metrics_file
    from ..live.pidfile import pid_file
    from ..live.schedule import parse_every
    from ..live.watch import Plan
    from ..live.watch import watch as watch_market

    settings = settings_of(asked, os.environ)
    plan = Plan(
        every=parse_every(asked.every),
        delay=asked.delay,
        overlap=asked.overlap,
        reload=asked.reload,
        publish=asked.publish,
        listen=asked.listen,
        runs=asked.runs,
        seconds=asked.seconds,
        metrics_file=asked.metrics_file,
        on_change=asked.on_change,
    )
    if asked.metrics_file:
        check_metrics_file(asked.metrics_file)
    with pid_file(asked.pid_file) if asked.pid_file else nullcontext():
        watch_market(settings, plan)


def _show_status(duckdb: Path, as_json: bool) -> None:
    from ..live.health import Health, health_file

    file, now = health_file(duckdb), datetime.now(UTC)
    try:
        health = Health.read(file)
    except UsageError as error:
        say(f"candlemill: {error}", err=True)
        raise typer.Exit(_STALE) from error
    reasons = health.stale(now)
    if as_json:
        say_json({"fresh": not reasons, "stale": reasons, **health.as_json()})
    else:
        show(health, reasons, now)
    if reasons:
        raise typer.Exit(_STALE)


def show(health: Health, reasons: list[str], now: datetime) -> None:
    """Print how a watch is doing, and why it is stale, if it is."""
    from rich.console import Console

    columns = [
        Column("interval"),
        Column("newest bar"),
        Column("lag, s", right=True),
        Column("stale after, s", right=True, rank=1),
        Column("looked at", rank=2),
        Column("due next", rank=1),
    ]
    rows = []
    for watched in health.intervals:
        lag = f"{(now - watched.newest_bar).total_seconds():.0f}" if watched.newest_bar else ""
        rows.append(
            (
                watched.interval,
                *(_clock(watched.newest_bar), lag, f"{watched.stale_after:.0f}"),
                *(_clock(watched.looked_at), _clock(watched.next_due)),
            )
        )
    print_table(columns, rows)
    console = Console(width=None if sys.stdout.isatty() else 120)
    run = health.last_run
    last = f"last {run.run_id[:8]} in {run.total:.2f} s with {run.rows} rows" if run else "none yet"
    published = f"work file of {_clock(health.published_at)}" if health.published_at else "no work file yet"
    console.print(*cells(f"{health.passes} passes since {_clock(health.started_at)}, {last}; {published}"))
    for watched in health.intervals:
        for why, count in watched.left_out.items():
            console.print(*cells(f"{watched.interval}: {why}: left out, {count}"))
    for error in health.errors:
        console.print(*cells(f"{_clock(error.at)} {error.message}"))
    for reason in reasons:
        console.print(*cells(f"stale: {reason}"))
    if not reasons:
        console.print("fresh")


def _clock(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds")[:19] if moment else ""
