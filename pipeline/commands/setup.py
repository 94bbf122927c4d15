"""``init-db`` and ``doctor``: making things ready, and saying what is not."""

from __future__ import annotations

import json

import typer

from ..base.errors import Exit, UsageError
from . import options


def init_db(
    source: options.SourceUrl = None,
    log_level: options.LogLevel = "info",
    log_json: options.LogJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Create the source schema: hypertables and continuous aggregates on TimescaleDB, else tables and views.

    Example: candlemill init-db --source postgresql://me@localhost/market
    """
    from ..base import ending
    from ..source import schema

    ending.leaves("what was created stays: run it again")
    options.set_up_log(log_level, log_json, quiet)
    if not source:
        raise UsageError("no database: give --source URL or set DATABASE_URL")
    made = schema.init_db(source)
    typer.echo(f"created {', '.join(made)}" if made else "the schema is there already")


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
