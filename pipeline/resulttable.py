"""One table of the SQLite result database: its schema, and replacing its newest rows inside an open transaction.

Rows go in through DuckDB. Where SQLite itself is better at something (finding rows by key through an index),
``sqlite_query`` runs a native statement, which takes part in the transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from indicators.rounding import rounded
from pipeline.statements import Sql, identifier, join, literal, render, statement
from pipeline.workfile import SQLITE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from indicators.contract import Column, Indicator

SYMBOL, INTERVAL, DATA_TIME = KEY = ("交易对", "周期", "数据时间")
ATTACHED = Sql("results")
_STAGE = "candlemill_stage"
# DuckDB's names for SQLite's affinities: its REAL would be a 4-byte float.
_DUCKDB_TYPES = {"real": "DOUBLE", "integer": "BIGINT", "text": "VARCHAR", "time": "VARCHAR"}
# Columns of an existing table that DuckDB can write into directly, without changing the value.
_FITTING = {"REAL": ("REAL", "TEXT"), "INTEGER": ("INTEGER", "REAL", "TEXT"), "TEXT": ("TEXT",)}


@dataclass(frozen=True)
class ResultTable:
    """An existing table of the result database: declared types by column, and whether the keys are indexed."""

    columns: Mapping[str, str]
    indexed: bool


def replace_rows(
    door: duckdb.DuckDBPyConnection,
    indicator: Indicator,
    rows: pa.Table,
    table: ResultTable | None,
    keep: Callable[[str], int],
) -> tuple[int, int]:
    """Write one indicator's rows into its table. Returns (rows written, rows pruned)."""
    name = identifier(indicator.table)
    if table is None:
        door.execute(_create(indicator))
    else:
        for column in indicator.columns:
            if column.label not in table.columns:
                kind = _DUCKDB_TYPES[column.kind]
                door.execute(f"ALTER TABLE {ATTACHED}.{name} ADD COLUMN {identifier(column.label)} {kind}")
        if not table.indexed:
            index = join([identifier(key) for key in KEY])
            door.execute(f"USE {ATTACHED}")
            door.execute(f"CREATE INDEX {identifier(f'candlemill_{indicator.id}')} ON {name} ({index})")
            door.execute("USE memory")
    door.register("finished", _rounded(indicator, rows))
    door.execute(_rows_to_write(indicator))
    door.unregister("finished")
    if table is not None:
        _drop_valueless(door, indicator, name)
        native(door, render(statement("sink/delete_keys"), table=name), _json_of(door, KEY, Sql("TRUE")))
    fitting = table is None or _fits(indicator, table)
    written = _insert(door, indicator, name) if fitting else _insert_staged(door, indicator, name)
    if table is None:
        return written, 0
    native(door, render(statement("sink/lift_newer"), table=name), _json_of(door, KEY, Sql("TRUE")))
    return written, _prune(door, name, keep)


def _prune(door: duckdb.DuckDBPyConnection, name: Sql, keep: Callable[[str], int]) -> int:
    """Remove what is beyond the retention of the pairs just written. Returns the rows removed."""
    intervals: dict[int, list[str]] = {}
    for (interval,) in door.execute(f"SELECT DISTINCT {identifier(INTERVAL)} FROM to_write").fetchall():
        intervals.setdefault(keep(interval), []).append(interval)
    removed = 0
    for rows, names in intervals.items():
        pairs = _json_of(
            door, (SYMBOL, INTERVAL), Sql(f"{identifier(INTERVAL)} IN ({join([literal(n) for n in names])})")
        )
        removed += len(native(door, render(statement("sink/prune"), table=name, keep=literal(rows)), pairs))
    return removed


def _drop_valueless(door: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql) -> None:
    """Leave out rows without values whose key already has a row with some."""
    bare = _json_of(door, KEY, Sql("NOT valued"))
    if bare == "[]":
        return
    values = join([*(identifier(label) for label in _telling(indicator)), Sql("NULL")])
    taken = render(statement("sink/valued_keys"), table=name, values=values)
    door.execute(
        f"DELETE FROM to_write USING sqlite_query({literal(ATTACHED)}, {literal(taken)}, params = row(?)) AS taken "
        f"WHERE {identifier(SYMBOL)} = taken.symbol AND {identifier(INTERVAL)} = taken.interval "
        f"AND {identifier(DATA_TIME)} = taken.data_time",
        [bare],
    )


def _telling(indicator: Indicator) -> list[str]:
    """Labels of the columns that have a value only where the row has values: those that no short row fills."""
    return [column.label for column in indicator.columns if column.label not in indicator.short]


def _rows_to_write(indicator: Indicator) -> Sql:
    """Statement that makes ``to_write``: the rows as SQLite shall hold them, in key order, and which have values."""
    telling = set(_telling(indicator))
    values = [Sql(f"{_written(column)} AS {identifier(column.label)}") for column in indicator.columns]
    told = [Sql(f"{identifier(column.name)} IS NOT NULL") for column in indicator.columns if column.label in telling]
    columns = join(
        [
            Sql(f"symbol AS {identifier(SYMBOL)}"),
            Sql(f'"interval" AS {identifier(INTERVAL)}'),
            Sql(f"iso_utc(bucket_ts) AS {identifier(DATA_TIME)}"),
            *values,
            Sql(f"({join(told, ' OR ')}) AS valued"),
        ]
    )
    order = join([identifier(key) for key in KEY])
    return Sql(f"CREATE OR REPLACE TEMP TABLE to_write AS SELECT {columns} FROM finished ORDER BY {order}")


def _written(column: Column) -> Sql:
    name = identifier(column.name)
    return Sql(f"iso_utc({name})") if column.kind == "time" else name


def _rounded(indicator: Indicator, rows: pa.Table) -> pa.Table:
    """The rows with each column rounded as declared. The work file keeps full precision."""
    for column in indicator.columns:
        if column.rounding is not None:
            values = rows[column.name].to_numpy()
            finished = pa.array(rounded(values, column.rounding), mask=np.isnan(values))
            rows = rows.set_column(rows.schema.get_field_index(column.name), column.name, finished)
    return rows


def _labels(indicator: Indicator) -> Sql:
    return join([identifier(label) for label in (*KEY, *(column.label for column in indicator.columns))])


def _create(indicator: Indicator, name: str | None = None) -> Sql:
    """Statement that makes a table with the declared columns and, for a result table, its key."""
    columns = [Sql(f"{identifier(key)} VARCHAR") for key in KEY]
    columns += [Sql(f"{identifier(c.label)} {_DUCKDB_TYPES[c.kind]}") for c in indicator.columns]
    if name is None:
        columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in KEY])})"))
    return Sql(f"CREATE TABLE {ATTACHED}.{identifier(name or indicator.table)} ({join(columns)})")


def _insert(door: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql) -> int:
    labels = _labels(indicator)
    found = door.execute(f"INSERT INTO {ATTACHED}.{name} ({labels}) SELECT {labels} FROM to_write").fetchone()
    return int(found[0]) if found else 0


def _insert_staged(door: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql) -> int:
    """Write through a table of the declared types, for an existing one whose types would make DuckDB change values.

    A column that an older program created as INTEGER, or without a type, takes any number in SQLite; DuckDB would round
    it, or write bytes.
    """
    labels, stage = _labels(indicator), identifier(_STAGE)
    door.execute(_create(indicator, _STAGE))
    _insert(door, indicator, stage)
    copied = native(
        door, Sql(f"INSERT INTO {name} ({labels}) SELECT {labels} FROM {stage} ORDER BY rowid RETURNING 1 AS copied")
    )
    door.execute(f"DROP TABLE {ATTACHED}.{stage}")
    return len(copied)


def _fits(indicator: Indicator, table: ResultTable) -> bool:
    wanted = {column.label: SQLITE_TYPES[column.kind] for column in indicator.columns} | dict.fromkeys(KEY, "TEXT")
    return all(
        _affinity(table.columns[label]) in _FITTING[kind] for label, kind in wanted.items() if label in table.columns
    )


def _affinity(declared: str) -> str:
    """SQLite's affinity of a declared type, by its own rules (Datatypes In SQLite, section 3.1)."""
    upper = declared.upper()
    for signs, affinity in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(sign in upper for sign in signs):
            return affinity
    return "NUMERIC" if upper else "BLOB"


def _json_of(door: duckdb.DuckDBPyConnection, columns: Sequence[str], where: Sql) -> str:
    """Some columns of the rows to write as a JSON list of lists, in key order."""
    row, order = (join([identifier(name) for name in names]) for names in (columns, KEY))
    query = f"SELECT coalesce(to_json(list([{row}] ORDER BY {order})), '[]')::VARCHAR FROM to_write WHERE {where}"
    found = door.execute(query).fetchone()
    return str(found[0]) if found else "[]"


def native(door: duckdb.DuckDBPyConnection, query: Sql, *parameters: str) -> list[tuple[Any, ...]]:
    """Rows of a statement that SQLite itself runs, in the open transaction."""
    bound = f", params = row({join([Sql('?')] * len(parameters))})" if parameters else ""
    return door.execute(
        f"FROM sqlite_query({literal(ATTACHED)}, {literal(query)}{bound})", list(parameters) or None
    ).fetchall()


def existing_tables(door: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable | None]:
    """The existing tables among those names; None for a view of such a name."""
    found = native(door, statement("sink/tables"), json.dumps(list(names), ensure_ascii=False))
    tables: dict[str, ResultTable | None] = {}
    for (name, kind, indexed), columns in groupby(found, key=itemgetter(0, 1, 2)):
        declared = {column: type_ or "" for *_, column, type_ in columns}
        tables[name] = ResultTable(declared, indexed == "1") if kind == "table" else None
    return tables
