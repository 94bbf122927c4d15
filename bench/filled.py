"""A result database as it is after weeks of service: every table at its retention for every pair."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from bench.market import sql
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.statements import Sql, identifier, join, render
from candlemill.pipeline.results.rows import KEY
from candlemill.pipeline.settings import OTHER_RETENTION, RETENTION

if TYPE_CHECKING:
    from pathlib import Path


def fill(fresh: Path, filled: Path) -> int:
    """Make a database of the retention's rows before those of a run. Returns the rows.

    The newest row of each pair is one bar older than the run's, so that a run on the same market adds one row per table
    and pair and prunes one.

    Args:
        fresh: result database of one run, on a file that was not there.
        filled: to be made.
    """
    filled.unlink(missing_ok=True)
    retention = {
        name: [RETENTION.get(name, OTHER_RETENTION), int(interval.length.total_seconds())]
        for name, interval in INTERVALS.items()
    }
    rows = 0
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS fresh", [str(fresh)])
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}")
        for name, declared in connection.execute(
            "SELECT name, sql FROM fresh.sqlite_schema WHERE type = 'table'"
        ).fetchall():
            connection.execute(declared)
            columns = [column for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", [name])]
            values = join([Sql(f"t.{identifier(column)}") for column in columns[len(KEY) :]])
            query = render(sql("fill"), table=identifier(name), values=values)
            rows += connection.execute(query, [json.dumps(retention)]).rowcount
        connection.execute("PRAGMA journal_mode = WAL")
    return rows
