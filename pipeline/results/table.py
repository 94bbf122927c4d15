"""The tables of the SQLite result database: what they are like, and what those that are there lack.

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
from ..base.statements import Sql, identifier, join, literal, statement
from .retention import ATTACHED, native
from .rows import DATA_TIME, INTERVAL, KEY, SYMBOL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from ...indicators.contract import Indicator
    from ...indicators.kinds import Kind

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


def ends_of(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[str]:
    """Those of some tables that have too few row numbers left."""
    if not names:
        return []
    parts = [Sql(f"SELECT {literal(name)} AS tbl, max(rowid) AS last FROM {identifier(name)}") for name in names]
    return [name for name, last in native(connection, join(parts, " UNION ALL ")) if int(last or 0) >= _LAST]


def complete(connection: duckdb.DuckDBPyConnection, indicator: Indicator, table: ResultTable) -> None:
    """Add the columns and the index that an existing table lacks."""
    name = identifier(indicator.table)
    for label, kind in kinds(indicator).items():
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


def kinds(indicator: Indicator) -> dict[str, Kind]:
    """Kind of each column by its name in the table, the key columns first."""
    return dict.fromkeys(KEY, TEXT) | {indicator.label(column): column.kind for column in indicator.columns}


def labels(indicator: Indicator) -> Sql:
    """The names of the columns, quoted."""
    return join([identifier(label) for label in kinds(indicator)])


def create(indicator: Indicator) -> Sql:
    """Statement that makes a result table."""
    columns = [Sql(f"{identifier(label)} {Sql(kind.sink)}") for label, kind in kinds(indicator).items()]
    columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in INDEX])})"))
    return Sql(f"CREATE TABLE {ATTACHED}.{identifier(indicator.table)} ({join(columns)})")


def fits(indicator: Indicator, table: ResultTable) -> bool:
    """Whether what DuckDB writes into a table stands there as it was sent."""
    return not table.acts and all(
        table.columns.get(label.lower(), kind.declared).upper() in _PLAIN[kind.declared]
        for label, kind in kinds(indicator).items()
    )


def affinity(declared: str) -> str:
    """SQLite's affinity of a declared type, by its own rules (Datatypes In SQLite, section 3.1)."""
    upper = declared.upper()
    for signs, found in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(sign in upper for sign in signs):
            return found
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
