"""``init-db`` and ``doctor``: making things ready, and saying what is not."""

from __future__ import annotations

from typing import Annotated

import typer

from ..base.errors import Exit, UsageError
from ..options import Options
from . import options
from .console import say, say_json, set_up_log

_RESULTS = {True: "ok  ", False: "FAIL", None: "none"}


@options.takes("init-db")
def init_db(
    asked: Options,
    retain: Annotated[
        str | None,
        typer.Option("--retain", help="Let TimescaleDB drop rows after so long, such as 180d; of new tables only."),
    ] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Give candles_1m a trigger that wakes `candlemill watch --listen`.")
    ] = False,
) -> None:
    """Create the source schema: hypertables and continuous aggregates on TimescaleDB, else tables and views.

    What exists stays as it is, with its rows, settings and policies; what it lacks is named.

    Example: candlemill init-db --source postgresql://me@localhost/market
    """
    from ..base import ending
    from ..source import schema

    ending.leaves("what was created stays: run it again")
    set_up_log(asked)
    if not asked.source:
        raise UsageError("no database: give --source URL or set DATABASE_URL")
    done = schema.init_db(asked.source, schema.parse_retention(retain), notify)
    say(f"created {', '.join(done.created)}" if done.created else "the schema is there already")
    if done.created and done.left:
        say(f"left as they were {', '.join(done.left)}")
    for remark in done.remarks:
        say(remark)


@options.takes("doctor")
def doctor(asked: Options, as_json: options.AsJson = False) -> None:
    """Check versions, the sqlite extension, the source, the result database, the work file and free disk.

    Exits with 2 where something is not well; each line says how to mend it. Without a source the rest is checked.

    Example: candlemill doctor --json
    """
    from ..doctor import examine

    checks = examine(asked.source, asked.sqlite, asked.duckdb, asked.wal_limit)
    if as_json:
        say_json([vars(check) for check in checks], indent=2)
    else:
        for check in checks:
            say(f"{_RESULTS[check.ok]}  {check.name}: {check.seen}")
    if any(check.ok is False for check in checks):
        raise typer.Exit(Exit.USAGE)
