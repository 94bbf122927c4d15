"""What a query can read beside the work file: the result database, and the history of each indicator.

The session of a query has no way to a file but its work file. So whatever else it names is read here, by a connection
of its own, and handed in as Arrow. What is not named is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from ...indicators.registry import INDICATORS
from ..base.duck import open_duckdb
from ..base.errors import UsageError, one_line
from ..base.shortage import pass_on
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..results.reader import result_database
from ..results.retention import ATTACHED, native
from ..results.rows import DATA_TIME, INTERVAL, SYMBOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ...indicators.contract import Indicator

#: Names that a schema of another file cannot have.
_TAKEN = ("work", "results", "history", "memory", "temp", "system", "main", "information_schema", "pg_catalog")
#: Schemas: the tables of the result database, and a view for each indicator.
RESULTS, HISTORY = "results", "history"


@dataclass(frozen=True)
class Relation:
    """Rows under a name in a schema."""

    schema: str
    name: str
    rows: pa.Table | ds.Dataset


@dataclass(frozen=True)
class Beside:
    """What a query reads beside the work file.

    Attributes:
        schemas: those that it may name.
        relations: those that it names.
        hint: where they come from, for an error about one that is not there.
    """

    schemas: Sequence[str] = ()
    relations: Sequence[Relation] = ()
    hint: str = ""

    def __add__(self, other: Beside) -> Beside:
        """What both have."""
        hint = "; ".join(filter(None, (self.hint, other.hint)))
        return Beside([*self.schemas, *other.schemas], [*self.relations, *other.relations], hint)


@dataclass
class _Found:
    relations: list[Relation] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def beside(sql: str, database: Callable[[], Path], folder: Path | None = None) -> Beside:
    """Read what a query names.

    Args:
        sql: its text. A schema is named where a dot follows its name, another name wherever it stands.
        database: the result database; asked for where a query may read it.
        folder: of a backfill, whose files the history is read from; None: it is that of the result database.

    Raises UsageError where something that is named cannot be read, or the folder is none.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"--history {folder} is not a folder: give the one that `candlemill backfill --output` filled")
    words = set(re.findall(r"\w+", sql.lower()))
    named = set(re.findall(rf"\b({RESULTS}|{HISTORY})\"?\s*\.", sql.lower()))
    schemas = [schema for schema in (RESULTS, HISTORY) if schema in named]
    indicators = [declared for declared in INDICATORS.values() if HISTORY in named and declared.id in words]
    found = _Found()
    if folder is not None and HISTORY in named:
        found.relations += [_filed(declared, folder) for declared in indicators if (folder / declared.id).is_dir()]
        found.hints.append(f"the history is that of {folder}")
        indicators = []
    if RESULTS in named or (HISTORY in named and folder is None):
        _read(sql, database(), RESULTS in named, indicators, found)
    return Beside(schemas, found.relations, "; ".join(found.hints))


def attached(sql: str, files: Sequence[Path]) -> Beside:
    """The tables of other SQLite and DuckDB files that a query names, each in a schema named as its file.

    They are copied into memory: what is not named is not read. Views are not handed in, as they could read other files.

    Raises UsageError where a file cannot be read, or has the name of another schema.
    """
    found = _Found()
    schemas: list[str] = []
    for path in files:
        schema = path.stem
        if schema.casefold() in (name.casefold() for name in (*_TAKEN, *schemas)):
            raise UsageError(f"--attach {path}: there is a schema {schema} already; give the file another name")
        schemas.append(schema)
        for name, rows in _tables_of(path, sql.casefold()):
            found.relations.append(Relation(schema, name, rows))
    return Beside(schemas, found.relations)


def _tables_of(path: Path, text: str) -> Iterator[tuple[str, pa.Table]]:
    """The tables of a file whose names stand in a text, with their rows."""
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise UsageError(f"--attach {path} cannot be read: {error.strerror}") from error
    if head.startswith(b"SQLite format 3"):
        with result_database(path) as connection:
            there: dict[str, list[str]] = {}
            for table, column in native(connection, statement("results/columns")):
                there.setdefault(table, []).append(column)
            for table, columns in there.items():
                if table.casefold() in text:
                    yield table, _rows(connection, table, columns)
    elif head[8:12] == b"DUCK":
        with open_duckdb() as connection:
            try:
                connection.execute(f"ATTACH {literal(str(path))} AS theirs (READ_ONLY)")
                for (table,) in connection.execute(
                    statement("workfile/attached_tables"), {"name": "theirs"}
                ).fetchall():
                    if table.casefold() in text:
                        yield table, connection.execute(f"FROM theirs.{identifier(table)}").to_arrow_table()
            except duckdb.Error as error:
                pass_on(error)
                raise UsageError(f"--attach {path} cannot be read: {one_line(error)}") from error
    else:
        raise UsageError(f"--attach {path} is no database of SQLite or DuckDB: read other files with --allow-files")


def _read(sql: str, path: Path, tables: bool, indicators: Sequence[Indicator], found: _Found) -> None:
    """Add tables of a result database that a query names, and the histories of some indicators."""
    if not path.is_file():
        found.hints.append(f"there is no result database {path}: run `candlemill run`, or give another with --sqlite")
        return
    found.hints.append(f"the result database is {path}")
    text = sql.casefold()
    with result_database(path) as connection:
        there: dict[str, list[str]] = {}
        for table, column in native(connection, statement("results/columns")):
            there.setdefault(table, []).append(column)
        for table, columns in there.items():
            if tables and identifier(table)[1:-1].casefold() in text:
                found.relations.append(Relation(RESULTS, table, _rows(connection, table, columns)))
        for declared in indicators:
            if declared.table in there:
                rows = _rows(connection, declared.table, there[declared.table])
                found.relations.append(Relation(HISTORY, declared.id, _in_english(connection, declared, rows)))


def _rows(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> pa.Table:
    """The rows of a table. Where its cells have other types than it declares, all are text."""
    name = identifier(table)
    try:
        return connection.execute(f"FROM {ATTACHED}.{name}").to_arrow_table()
    except duckdb.TypeMismatchException:
        # The error has ended the transaction.
        connection.execute("ROLLBACK")
        connection.execute("BEGIN")
    cells = []
    for column in columns:
        there = identifier(column)
        cells.append(Sql(f"{render(statement('parity/cell'), column=there)} AS {there}"))
    query = Sql(f"SELECT {join(cells)} FROM {name}")
    try:
        return connection.execute(f"FROM sqlite_query({literal(ATTACHED)}, {literal(query)})").to_arrow_table()
    except duckdb.Error as error:
        pass_on(error)
        raise UsageError(f"the table {table} of the result database cannot be read: {one_line(error)}") from error


def _in_english(connection: duckdb.DuckDBPyConnection, declared: Indicator, rows: pa.Table) -> pa.Table:
    """The rows of a result table under the names and with the types of the work file."""
    there = {name.lower() for name in rows.column_names}
    cells = []
    for column in declared.columns:
        label = declared.label(column)
        cell = identifier(label) if label.lower() in there else Sql("NULL")
        cells.append(Sql(f"TRY_CAST({cell} AS {Sql(column.kind.work_file)}) AS {identifier(column.name)}"))
    query = render(
        statement("results/in_english"),
        symbol=identifier(SYMBOL),
        interval=identifier(INTERVAL),
        data_time=identifier(DATA_TIME),
        columns=join(cells),
    )
    connection.register("found", rows)
    return connection.execute(query).to_arrow_table()


def _filed(declared: Indicator, folder: Path) -> Relation:
    """The history of an indicator in the files of a backfill, which are read as far as a query needs them."""
    null = np.empty(0, np.bool_)
    kinds = {
        column.name: column.kind.arrow(column.kind.finished(column.kind.blank(0), null), null).type
        for column in declared.columns
    }
    keys = {"symbol": pa.string(), "interval": pa.string(), "bucket_ts": pa.timestamp("us", "UTC")}
    by_interval = ds.partitioning(pa.schema([("interval", pa.string())]), flavor="hive")
    try:
        files = ds.dataset(
            folder / declared.id, pa.schema([*keys.items(), *kinds.items()]), format="parquet", partitioning=by_interval
        )
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"--history {folder} cannot be read: {one_line(error)}") from error
    return Relation(HISTORY, declared.id, files)
