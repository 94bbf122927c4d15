"""The floor: what the same rows cost where nothing is computed, on the same machine in the same go.

Reading is ``COPY … (FORMAT binary)`` of the rows that a pass keeps, thrown away as they come, in one session. Writing
is the rows that a pass writes, into a fresh SQLite file without keys or indexes by ``executemany``, in one transaction.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import psycopg

from bench.market import NOW, metrics_of, newest, sql
from candlemill.indicators.fields import METRICS_ROWS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.statements import Sql, identifier, join, literal, render
from candlemill.pipeline.settings import DEFAULT_EXCHANGE, DEFAULT_LOOKBACK
from candlemill.pipeline.source.reader import METRICS_WINDOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bench.market import Scale

CAST = Sql("::double precision")
UNCAST = Sql("")


@dataclass(frozen=True)
class Rows:
    """One table of a result database: its columns and all its rows."""

    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def floor_statements(scale: Scale, cast: Sql) -> list[Sql]:
    """The reading statements, candles and metrics of every interval."""
    statements = []
    for name in scale.intervals:
        shared = {"newest": newest(name), "length": literal(INTERVALS[name].bucket), "cast": cast}
        statements.append(
            render(
                sql("floor_candles"),
                relation=identifier(f"candles_{name}"),
                exchange=literal(DEFAULT_EXCHANGE),
                lookback=literal(DEFAULT_LOOKBACK),
                **shared,
            )
        )
        metrics = metrics_of(name)
        if metrics is not None:
            statements.append(
                render(
                    sql("floor_metrics"),
                    relation=identifier(metrics.relation),
                    time=identifier(metrics.time),
                    closed=identifier(metrics.closed),
                    rows=literal(METRICS_ROWS),
                    window=literal(NOW - METRICS_WINDOW),
                    **shared,
                )
            )
    return statements


def read_floor(database: str, statements: Sequence[Sql]) -> tuple[float, int]:
    """Read and throw away. Returns (seconds, rows)."""
    rows = 0
    begun = perf_counter()
    with psycopg.connect(database, options="-c timezone=UTC") as connection:
        for statement in statements:
            cursor = connection.cursor()
            with cursor.copy(f"COPY ({statement}) TO STDOUT (FORMAT binary)".encode()) as copy:
                for _ in copy:
                    pass
            rows += cursor.rowcount
    return perf_counter() - begun, rows


def written_rows(result: Path) -> dict[str, Rows]:
    """All tables of a result database that no run has open."""
    with closing(sqlite3.connect(f"file:{result}?mode=ro", uri=True)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        tables = {}
        for name in names:
            found = connection.execute(f"SELECT * FROM {identifier(name)}")
            tables[name] = Rows([column[0] for column in found.description], found.fetchall())
        return tables


def write_floor(tables: Mapping[str, Rows], fresh: Path) -> tuple[float, int]:
    """Write the rows into a fresh SQLite file. Returns (seconds, rows)."""
    fresh.unlink(missing_ok=True)
    begun = perf_counter()
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for name, table in tables.items():
            columns = join([identifier(column) for column in table.columns])
            places = join([Sql("?")] * len(table.columns))
            connection.execute(f"CREATE TABLE {identifier(name)} ({columns})")
            connection.executemany(f"INSERT INTO {identifier(name)} VALUES ({places})", table.rows)
        connection.execute("COMMIT")
    return perf_counter() - begun, sum(len(table.rows) for table in tables.values())
