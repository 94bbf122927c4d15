"""``init-db`` and ``doctor``: making things ready, and saying what is not."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ..base.errors import Exit, UsageError
from . import options


def init_db(
    source: options.SourceUrl = None,
    retain: Annotated[
        str | None,
        typer.Option("--retain", help="Let TimescaleDB drop rows after so long, such as 180d; of new tables only."),
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Give candles_1m a trigger that wakes `candlemill watch --listen`.")
    ] = False,
    log_level: options.LogLevel = "info",
    log_json: options.LogJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Create the source schema: hypertables and continuous aggregates on TimescaleDB, else tables and views.

    What exists stays as it is, with its rows, settings and policies; what it lacks is named.

    Example: candlemill init-db --source postgresql://me@localhost/market
    """
    from ..base import interrupts
    from ..source import schema

    interrupts.leaves("what was created stays: run it again")
    options.set_up_log(log_level, log_json, quiet)
    if not source:
        raise UsageError("no database: give --source URL or set DATABASE_URL")
    done = schema.init_db(source, schema.parse_retention(retain), notify)
    typer.echo(f"created {', '.join(done.created)}" if done.created else "the schema is there already")
    if done.created and done.left:
        typer.echo(f"left as they were {', '.join(done.left)}")
    for remark in done.remarks:
        typer.echo(remark)


def doctor(
    source: options.SourceUrl = None,
    sqlite: options.SqlitePath = options.DEFAULT_SQLITE,
    duckdb: options.DuckdbPath = options.DEFAULT_DUCKDB,
    as_json: options.AsJson = False,
) -> None:
    """Check versions, the sqlite extension, the source, the result database, the work file and free disk.

    Exits with 2 where something is not well; each line says how to mend it.

    Example: candlemill doctor --json
    """
    from ..doctor import examine

    checks = examine(source, sqlite, duckdb)
    if as_json:
        typer.echo(json.dumps([vars(check) for check in checks], ensure_ascii=False, indent=2))
    else:
        for check in checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.seen}")
    if not all(check.ok for check in checks):
        raise typer.Exit(Exit.USAGE)
