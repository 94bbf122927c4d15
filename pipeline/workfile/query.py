"""SQL over the work file, which may be read and nothing else.

The work file is attached read-only to a DuckDB in memory, so that temporary tables can be made. Then all else is
closed for good: no other file, no network, no extension, no Python object, no change of settings. A local file system
that is merely off limits is not enough, because DuckDB lets a query reopen, and write, what is attached already; and
with the sqlite extension in it, a query could attach and make files anywhere. What else it reads comes as Arrow
(``beside``).
"""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from ..base.duck import open_duckdb
from ..base.errors import UsageError, one_line
from ..base.shortage import pass_on
from ..base.statements import identifier, literal
from ..base.threads import useful_threads
from .beside import Beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BATCH_ROWS = 10_000
#: What statements that only read are expected to have.
_ROWS = [duckdb.ExpectedResultType.QUERY_RESULT]
#: In this order: a file system cannot be taken away from external access that is still on.
_CLOSED = ("SET enable_external_access = false", "SET disabled_filesystems = 'LocalFileSystem'")
NOTHING_BESIDE = Beside()
_PLACE = re.compile(r"\n\s*LINE (\d+):.*", re.DOTALL)


class Answer:
    """The rows of a query, in batches, as they are computed."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.schema = schema
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches


@contextmanager
def answers(
    path: Path, sql: str, allow_files: bool = False, beside: Beside = NOTHING_BESIDE, one: bool = False
) -> Iterator[Iterator[Answer]]:
    """The rows of each query over the work file at ``path``; of other statements those of the last one.

    An answer is there until the next one is asked for. Columns of the same name get a number: symbol, symbol_1.

    Args:
        path: the work file.
        sql: the query, or several, which the caller has from the user.
        allow_files: let it read and write other files too. The work file stays read-only.
        beside: what it reads beside the work file.
        one: refuse several queries.

    Raises UsageError: there is no work file, it cannot be opened, there is nothing to answer, or a query fails.
    """
    with closing(_open(path, allow_files, beside)) as connection:
        try:
            yield _answers(connection, sql, one)
        except (duckdb.Error, pa.ArrowException) as error:
            pass_on(error)
            raise UsageError(_explained(error, beside)) from error


def _answers(connection: duckdb.DuckDBPyConnection, sql: str, one: bool) -> Iterator[Answer]:
    statements = connection.extract_statements(sql)
    if not statements:
        raise UsageError("the query is empty: give SQL, @FILE, or - for standard input")
    queries = [each for each in statements[:-1] if each.expected_result_type == _ROWS]
    if queries and one:
        raise UsageError(
            f"there are {len(queries) + 1} queries, and one can be put out so: give one, or make it a table"
        )
    if not queries:
        connection.execute(sql)
        yield _answer(connection)
        return
    for each in statements:
        connection.execute(each)
        if each in queries or each is statements[-1]:
            yield _answer(connection)


def _answer(connection: duckdb.DuckDBPyConnection) -> Answer:
    if connection.description is None:
        raise UsageError("the query has no rows: give one that reads something")
    reader = connection.to_arrow_reader(_BATCH_ROWS)
    schema = _distinct(reader.schema)
    return Answer(schema, _batches(reader, schema))


def _open(path: Path, allow_files: bool, beside: Beside) -> duckdb.DuckDBPyConnection:
    if not path.is_file():
        raise UsageError(f"there is no work file {path}: make it with `candlemill run`, or give another with --duckdb")
    connection = open_duckdb(threads=useful_threads())
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
    except duckdb.Error as error:
        connection.close()
        raise UsageError(f"the work file {path} cannot be opened: {one_line(error)}") from error
    for schema in beside.schemas:
        connection.execute(f"ATTACH ':memory:' AS {identifier(schema)}")
    for place, relation in enumerate(beside.relations):
        rows, name = f"beside_{place}", identifier(relation.name)
        connection.register(rows, relation.rows)
        connection.execute(f"CREATE VIEW {identifier(relation.schema)}.{name} AS FROM temp.main.{identifier(rows)}")
    connection.execute("USE work")
    for setting in () if allow_files else _CLOSED:
        connection.execute(setting)
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _batches(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _distinct(schema: pa.Schema) -> pa.Schema:
    taken: set[str] = set()
    fields = []
    for field in schema:
        name, number = field.name, 0
        while name in taken:
            number += 1
            name = f"{field.name}_{number}"
        taken.add(name)
        fields.append(field.with_name(name))
    return pa.schema(fields)


def _explained(error: Exception, beside: Beside) -> str:
    """DuckDB's message in one line, with its hint, and the place without the picture of it."""
    text = str(error)
    place = _PLACE.search(text)
    message = one_line(_PLACE.sub("", text)) + (f" (line {place[1]})" if place else "")
    if isinstance(error, duckdb.PermissionException):
        message += "; a query sees the work file alone, unless --allow-files is given"
    if isinstance(error, duckdb.CatalogException) and beside.hint:
        message += f"; {beside.hint}"
    return f"the query failed: {message}"
