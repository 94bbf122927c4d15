"""One table of the SQLite result database: its schema, and replacing its newest rows inside an open transaction.

Rows go in through DuckDB. Where SQLite itself is better at something (finding rows by key through an index),
``sqlite_query`` runs a native statement, which takes part in the transaction.

The index of a table begins with interval and time. A run's rows, and those that fall out of the retention, then lie
together in it, and few pages change; with the symbol first, every row of a run would change a page of its own.
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
#: The key's columns in the order of a table's index.
INDEX = (INTERVAL, DATA_TIME, SYMBOL)
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
            index = join([identifier(key) for key in INDEX])
            door.execute(f"USE {ATTACHED}")
            door.execute(f"CREATE INDEX {identifier(f'candlemill_{indicator.id}')} ON {name} ({index})")
            door.execute("USE memory")
    door.register("finished", _rounded(indicator, rows))
    door.execute(_rows_to_write(indicator))
    door.unregister("finished")
    if table is not None:
        _note_present(door, name)
        _drop_valueless(door, indicator, name)
        _delete_keys(door, name, statement("sink/replaced"))
    fitting = table is None or _fits(indicator, table)
    written = _insert(door, indicator, name) if fitting else _insert_staged(door, indicator, name)
    if table is None:
        return written, 0
    _lift_newer(door, name)
    return written, _prune(door, name, keep)


def _note_present(door: duckdb.DuckDBPyConnection, name: Sql) -> None:
    """Make ``present``: the table's rows that are not older than those to write."""
    asked = _json(door, Sql("[interval, oldest]"), statement("sink/oldest"))
    found = _native_rows(render(statement("sink/present"), table=name), 1)
    door.execute(f"CREATE OR REPLACE TEMP TABLE present AS FROM {found}", [asked])


def _drop_valueless(door: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql) -> None:
    """Leave out rows without values whose key already has a row with some."""
    bare = _json(door, Sql("place"), statement("sink/bare"))
    if bare == "[]":
        return
    values = join([*(identifier(label) for label in _telling(indicator)), Sql("NULL")])
    valued = _native_rows(render(statement("sink/valued_places"), table=name, values=values), 1)
    door.execute(render(statement("sink/drop_valueless"), valued=valued), [bare])


def _delete_keys(door: duckdb.DuckDBPyConnection, name: Sql, keys: Sql) -> int:
    """Delete the rows whose symbol, interval and data_time a query gives. Returns how many there were."""
    found = _json(door, Sql("[symbol, interval, data_time]"), keys)
    return 0 if found == "[]" else len(native(door, render(statement("sink/delete_keys"), table=name), found))


def _lift_newer(door: duckdb.DuckDBPyConnection, name: Sql) -> None:
    """Move rows that are newer than the one just written of their pair behind it."""
    newer = _json(door, Sql("place ORDER BY data_time, place"), statement("sink/newer"))
    if newer != "[]":
        native(door, render(statement("sink/lift_newer"), table=name), newer)


def _prune(door: duckdb.DuckDBPyConnection, name: Sql, keep: Callable[[str], int]) -> int:
    """Remove what is beyond the retention of the pairs just written. Returns the rows removed."""
    intervals = door.execute(f"SELECT DISTINCT {identifier(INTERVAL)} FROM to_write").fetchall()
    asked = json.dumps([[interval, keep(interval)] for (interval,) in intervals])
    crowded = [interval for (interval,) in native(door, render(statement("sink/crowded"), table=name), asked)]
    if not crowded:
        return 0
    rows = [render(statement("sink/by_time"), table=name, interval=literal(interval)) for interval in crowded]
    retention = pa.table({"interval": crowded, "keep": [keep(interval) for interval in crowded]})
    door.register("retention", retention)
    by_time = Sql(f"FROM {_native_rows(join(rows, ' UNION ALL '))}")
    removed = _delete_keys(door, name, render(statement("sink/beyond"), by_time=by_time))
    door.unregister("retention")
    return removed


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
        columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in INDEX])})"))
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


def _json(door: duckdb.DuckDBPyConnection, value: Sql, rows: Sql) -> str:
    """A JSON list of a value (which may say an order) of the rows of a query."""
    found = door.execute(f"SELECT coalesce(to_json(list({value})), '[]')::VARCHAR FROM ({rows})").fetchone()
    return str(found[0]) if found else "[]"


def _native_rows(query: Sql, parameters: int = 0) -> Sql:
    """A native statement of SQLite as a table of DuckDB's."""
    bound = f", params = row({join([Sql('?')] * parameters)})" if parameters else ""
    return Sql(f"sqlite_query({literal(ATTACHED)}, {literal(query)}{bound})")


def native(door: duckdb.DuckDBPyConnection, query: Sql, *parameters: str) -> list[tuple[Any, ...]]:
    """Rows of a statement that SQLite itself runs, in the open transaction."""
    return door.execute(f"FROM {_native_rows(query, len(parameters))}", list(parameters) or None).fetchall()


def existing_tables(door: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable | None]:
    """The existing tables among those names; None for a view of such a name."""
    found = native(door, statement("sink/tables"), json.dumps(list(names), ensure_ascii=False))
    tables: dict[str, ResultTable | None] = {}
    for (name, kind, indexed), columns in groupby(found, key=itemgetter(0, 1, 2)):
        declared = {column: type_ or "" for *_, column, type_ in columns}
        tables[name] = ResultTable(declared, indexed == "1") if kind == "table" else None
    return tables
