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
from typing import TYPE_CHECKING

from ...indicators.kinds import TEXT
from ..base.statements import Sql, identifier, join, render, statement
from .retention import ATTACHED, look, native
from .rows import DATA_TIME, INTERVAL, KEY, SYMBOL, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from ...indicators.contract import Indicator
    from ...indicators.kinds import Kind
    from .retention import ByTime
    from .rows import Batch

#: The key's columns in the order of a table's index.
INDEX = (INTERVAL, DATA_TIME, SYMBOL)
_STAGE = "candlemill_stage"
# Columns of an existing table that DuckDB can write into directly, without changing the value.
_FITTING = {"REAL": ("REAL", "TEXT"), "INTEGER": ("INTEGER", "REAL", "TEXT"), "TEXT": ("TEXT",)}


@dataclass(frozen=True)
class ResultTable:
    """An existing table of the result database: declared types by column, and whether the keys are indexed."""

    columns: Mapping[str, str]
    indexed: bool


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    indicator: Indicator,
    batch: Batch,
    table: ResultTable | None,
    keep: Callable[[str], int],
    known: ByTime,
) -> tuple[int, int]:
    """Write one indicator's rows into its table. Returns (rows written, rows pruned).

    ``known`` is what was read of the table before, in the same transaction, for the retention's sake.
    """
    name = identifier(indicator.table)
    if table is None:
        connection.execute(_create(indicator))
        return _insert(connection, indicator, batch, name), 0
    _complete(connection, indicator, table, name)
    held = look(connection, name, batch, keep, known)
    replaced = held.replaced(batch)
    stay = _valued(connection, indicator, name, [place for place, row in replaced.items() if not batch.valued[row]])
    written = batch.without({replaced.pop(place) for place in stay}) if stay else batch
    if replaced:
        native(connection, render(statement("results/delete_places"), table=name), json.dumps(list(replaced)))
    count = (_insert if _fits(indicator, table) else _insert_staged)(connection, indicator, written, name)
    newer = held.newer(batch)
    if newer:
        native(connection, render(statement("results/lift_newer"), table=name), json.dumps(newer))
    times, keys = held.beyond(batch, keep)
    return count, _delete(connection, name, "times", times) + _delete(connection, name, "keys", keys)


def _complete(connection: duckdb.DuckDBPyConnection, indicator: Indicator, table: ResultTable, name: Sql) -> None:
    """Add the columns and the index that an existing table lacks."""
    for label, kind in _kinds(indicator).items():
        if label not in table.columns:
            connection.execute(f"ALTER TABLE {ATTACHED}.{name} ADD COLUMN {identifier(label)} {Sql(kind.sink)}")
    if not table.indexed:
        index = join([identifier(key) for key in INDEX])
        connection.execute(f"USE {ATTACHED}")
        connection.execute(f"CREATE INDEX {identifier(f'candlemill_{indicator.id}')} ON {name} ({index})")
        connection.execute("USE memory")


def _valued(connection: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql, places: Sequence[int]) -> list[int]:
    """Those of some rows of the table, given by rowid, that have values."""
    if not places:
        return []
    values = join([*(identifier(indicator.label(column)) for column in telling(indicator)), Sql("NULL")])
    query = render(statement("results/valued_places"), table=name, values=values)
    return [place for (place,) in native(connection, query, json.dumps(places))]


def _delete(connection: duckdb.DuckDBPyConnection, name: Sql, by: str, what: Sequence[tuple[str, ...]]) -> int:
    """Delete rows by ``times`` or ``keys``. Returns how many there were."""
    if not what:
        return 0
    query = render(statement(f"results/delete_{by}"), table=name)
    return len(native(connection, query, json.dumps(what, ensure_ascii=False)))


def _kinds(indicator: Indicator) -> dict[str, Kind]:
    """Kind of each column by its name in the table, the key columns first."""
    return dict.fromkeys(KEY, TEXT) | {indicator.label(column): column.kind for column in indicator.columns}


def _labels(indicator: Indicator) -> Sql:
    return join([identifier(label) for label in _kinds(indicator)])


def _create(indicator: Indicator, name: str | None = None) -> Sql:
    """Statement that makes a table with the declared columns and, for a result table, its key."""
    columns = [Sql(f"{identifier(label)} {Sql(kind.sink)}") for label, kind in _kinds(indicator).items()]
    if name is None:
        columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in INDEX])})"))
    return Sql(f"CREATE TABLE {ATTACHED}.{identifier(name or indicator.table)} ({join(columns)})")


def _insert(connection: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, name: Sql) -> int:
    labels = _labels(indicator)
    connection.register("to_write", batch.table.__arrow_c_stream__())
    found = connection.execute(f"INSERT INTO {ATTACHED}.{name} ({labels}) SELECT {labels} FROM to_write").fetchone()
    connection.unregister("to_write")
    return int(found[0]) if found else 0


def _insert_staged(connection: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, name: Sql) -> int:
    """Write through a table of the declared types, for an existing one whose types would make DuckDB change values.

    A column that an older program created as INTEGER, or without a type, takes any number in SQLite; DuckDB would round
    it, or write bytes.
    """
    labels, stage = _labels(indicator), identifier(_STAGE)
    connection.execute(_create(indicator, _STAGE))
    _insert(connection, indicator, batch, stage)
    copied = native(
        connection,
        Sql(f"INSERT INTO {name} ({labels}) SELECT {labels} FROM {stage} ORDER BY rowid RETURNING 1 AS copied"),
    )
    connection.execute(f"DROP TABLE {ATTACHED}.{stage}")
    return len(copied)


def _fits(indicator: Indicator, table: ResultTable) -> bool:
    return all(
        _affinity(table.columns[label]) in _FITTING[kind.declared]
        for label, kind in _kinds(indicator).items()
        if label in table.columns
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


def existing_tables(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable | None]:
    """The existing tables among those names; None for a view of such a name."""
    found = native(connection, statement("results/tables"), json.dumps(list(names), ensure_ascii=False))
    tables: dict[str, ResultTable | None] = {}
    for (name, kind, indexed), columns in groupby(found, key=itemgetter(0, 1, 2)):
        declared = {column: type_ or "" for *_, column, type_ in columns}
        tables[name] = ResultTable(declared, indexed == "1") if kind == "table" else None
    return tables
