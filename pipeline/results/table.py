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
from ..base.errors import SinkError
from ..base.statements import Sql, identifier, join, literal, render, statement
from .retention import ATTACHED, in_order_from, look, native
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
# Declared types of an existing table that DuckDB writes into directly, without changing a value. It looks at types in
# its own way, and SQLite in another: all other types are left to SQLite.
_PLAIN = {
    "REAL": {"REAL", "DOUBLE", "TEXT", "VARCHAR"},
    "INTEGER": {"INTEGER", "BIGINT", "REAL", "DOUBLE", "TEXT", "VARCHAR"},
    "TEXT": {"TEXT", "VARCHAR"},
}
#: Row numbers beyond which a table has too few left: SQLite ends at twice as many, and then takes any that is free.
_LAST = 1 << 62


@dataclass(frozen=True)
class ResultTable:
    """An existing table of the result database.

    Attributes:
        columns: declared types by name, in small letters, as names of SQLite have no case.
        generated: names of columns that nobody can write into.
        kind: ``table``, or else ``view``, ``virtual``, ``keyless`` (it has no rowids).
        indexed: whether the keys are indexed.
        acts: ``table`` where constraints may ignore or replace rows, ``all`` where triggers may do anything to any.
        unread: whether it has indexes that SQLite cannot read, and would not keep.
    """

    columns: Mapping[str, str]
    generated: frozenset[str]
    kind: str
    indexed: bool
    acts: str
    unread: bool

    def refusal(self) -> str | None:
        """Why no results can be written into it; None: they can."""
        if self.kind != "table":
            return {"view": "it is a view", "virtual": "it is a virtual table"}.get(self.kind, "it has no rowids")
        if missing := [key for key in KEY if key not in self.columns]:
            return f"it lacks {', '.join(missing)}"
        if "rowid" in self.columns:
            return "its column rowid hides the numbers of its rows"
        return None


@dataclass(frozen=True)
class Written:
    """What was done to a table.

    Attributes:
        rows: how many were written.
        pruned: how many fell out of the retention.
        checked: rows that the table must have in the end, where it is compared with what was sent; None: it is not.
    """

    rows: int
    pruned: int = 0
    checked: int | None = None


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    indicator: Indicator,
    batch: Batch,
    table: ResultTable | None,
    keep: Callable[[str], int],
    known: ByTime,
    careful: bool,
    adding: bool = False,
) -> Written:
    """Write one indicator's rows into its table.

    Args:
        connection: has the database attached, and a transaction open.
        indicator: whose table it is.
        batch: the rows.
        table: what is there.
        keep: rows to keep for an interval's name.
        known: what was read of the table before, in the same transaction, for the retention's sake.
        careful: leave what was sent in a table beside, for ``differs``: the table may not keep what it is given.
        adding: leave rows that are there as they are, and put the others between them.
    """
    name = identifier(indicator.table)
    if table is None:
        connection.execute(_create(indicator))
        return Written(_insert(connection, indicator, batch, name))
    _complete(connection, indicator, table, name)
    before = _count(connection, name) if careful else 0
    held = look(connection, name, batch, keep, known, adding)
    replaced = held.replaced(batch)
    times, keys = held.beyond(batch, keep)
    if adding:
        # What would fall out at once is not brought in: it would move all rows after it.
        left_out = {*replaced.values(), *batch.places(times, keys)}
        replaced = {}
    else:
        unvalued = [place for place, row in replaced.items() if not batch.valued[row]]
        left_out = {replaced.pop(place) for place in _valued(connection, indicator, name, unvalued)}
    written = batch.without(left_out) if left_out else batch
    if replaced:
        native(connection, render(statement("results/delete_places"), table=name), json.dumps(list(replaced)))
    if careful:
        count = _insert_staged(connection, indicator, written, table)
    else:
        count = _insert(connection, indicator, written, name)
    newer = in_order_from(connection, name, held.overtaken(written)) if adding else held.newer(batch)
    if newer:
        native(connection, render(statement("results/lift_newer"), table=name), json.dumps(newer))
    pruned = _delete(connection, name, "times", times) + _delete(connection, name, "keys", keys)
    if not careful:
        return Written(count, pruned)
    stage = _stage(indicator)
    _delete(connection, stage, "times", times)
    _delete(connection, stage, "keys", keys)
    return Written(count, pruned, before - len(replaced) + written.table.num_rows - pruned)


def differs(connection: duckdb.DuckDBPyConnection, indicator: Indicator, rows: int) -> bool:
    """Whether a table lacks something of what ``replace_rows`` sent, or has not as many rows as it must have."""
    name, stage = identifier(indicator.table), _stage(indicator)
    same = [Sql(f"typeof(t.{identifier(key)}) = 'text'") for key in KEY]
    for label, kind in _kinds(indicator).items():
        there, sent = Sql(f"t.{identifier(label)}"), Sql(f"s.{identifier(label)}")
        # A number may stand there as an integer, or as a text; a text stays one.
        same.append(Sql(f"{there} COLLATE BINARY {Sql('=') if label in KEY else Sql('IS')} {sent}"))
        if kind.declared == "TEXT" and label not in KEY:
            same.append(Sql(f"typeof({there}) = typeof({sent})"))
    query = render(statement("results/lost"), table=name, stage=stage, same=join(same, "\n    AND "))
    lost = bool(native(connection, query))
    connection.execute(f"DROP TABLE {ATTACHED}.{stage}")
    return lost or _count(connection, name) != rows


def ends_of(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[str]:
    """Those of some tables that have too few row numbers left."""
    if not names:
        return []
    parts = [Sql(f"SELECT {literal(name)} AS tbl, max(rowid) AS last FROM {identifier(name)}") for name in names]
    return [name for name, last in native(connection, join(parts, " UNION ALL ")) if int(last or 0) >= _LAST]


def _complete(connection: duckdb.DuckDBPyConnection, indicator: Indicator, table: ResultTable, name: Sql) -> None:
    """Add the columns and the index that an existing table lacks."""
    for label, kind in _kinds(indicator).items():
        if label.lower() in table.generated:
            raise SinkError(
                f"the column {label} of the table {indicator.table} is generated, and cannot be written: make it an "
                "ordinary column, or give another file with --sqlite"
            )
        if label.lower() not in table.columns:
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


def _create(indicator: Indicator) -> Sql:
    """Statement that makes a result table."""
    columns = [Sql(f"{identifier(label)} {Sql(kind.sink)}") for label, kind in _kinds(indicator).items()]
    columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in INDEX])})"))
    return Sql(f"CREATE TABLE {ATTACHED}.{identifier(indicator.table)} ({join(columns)})")


def _insert(connection: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, name: Sql) -> int:
    labels = _labels(indicator)
    connection.register("to_write", batch.table.__arrow_c_stream__())
    found = connection.execute(f"INSERT INTO {ATTACHED}.{name} ({labels}) SELECT {labels} FROM to_write").fetchone()
    connection.unregister("to_write")
    return int(found[0]) if found else 0


def _insert_staged(
    connection: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, table: ResultTable
) -> int:
    """Write through a table of the declared types, which stays: SQLite itself then converts what is to be converted.

    A column that an older program created as INTEGER, or without a type, takes any number in SQLite; DuckDB would round
    it, or write bytes. Into a column of texts a number goes as DuckDB writes it: SQLite leaves out its last digits.
    """
    labels, stage = _labels(indicator), _stage(indicator)
    kinds = {
        label: TEXT if _affinity(table.columns.get(label.lower(), kind.declared)) == "TEXT" else kind
        for label, kind in _kinds(indicator).items()
    }
    columns = [Sql(f"{identifier(label)} {Sql(kind.sink)}") for label, kind in kinds.items()]
    connection.execute(f"CREATE TABLE {ATTACHED}.{stage} ({join(columns)})")
    _insert(connection, indicator, batch, stage)
    name = identifier(indicator.table)
    copied = native(
        connection,
        Sql(f"INSERT INTO {name} ({labels}) SELECT {labels} FROM {stage} ORDER BY rowid RETURNING 1 AS copied"),
    )
    return len(copied)


def _stage(indicator: Indicator) -> Sql:
    return identifier(f"candlemill_stage_{indicator.id}")


def _count(connection: duckdb.DuckDBPyConnection, name: Sql) -> int:
    [(count,)] = native(connection, Sql(f"SELECT count(*) AS n FROM {name}"))
    return int(count)


def fits(indicator: Indicator, table: ResultTable) -> bool:
    """Whether what DuckDB writes into a table stands there as it was sent."""
    return not table.acts and all(
        table.columns.get(label.lower(), kind.declared).upper() in _PLAIN[kind.declared]
        for label, kind in _kinds(indicator).items()
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


def existing_tables(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable]:
    """What there is of those names."""
    found = native(connection, statement("results/tables"), json.dumps(list(names), ensure_ascii=False))
    tables: dict[str, ResultTable] = {}
    for (name, kind, indexed, acts, unread), columns in groupby(found, key=itemgetter(0, 1, 2, 3, 4)):
        known = [(column.lower(), declared or "", hidden) for *_, column, declared, hidden in columns if column]
        tables[name] = ResultTable(
            {column: declared for column, declared, _ in known},
            frozenset(column for column, _, hidden in known if hidden != "0"),
            kind,
            indexed == "1",
            acts,
            unread == "1",
        )
    return tables
