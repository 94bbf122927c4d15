"""SQL over the work file, which may be read and nothing else.

The work file is attached read-only to a DuckDB in memory, so that temporary tables can be made. Then the doors are
closed for good: no other file, no network, no extension, no Python object, no change of settings. A local file system
that is merely off limits is not enough, because DuckDB lets a query reopen, and write, what is attached already.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa

from ..base import interrupts
from ..base.duck import open_duckdb
from ..base.errors import UsageError, one_line
from ..base.statements import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

T = TypeVar("T")

_BATCH_ROWS = 10_000
#: Seconds until a call that goes on is interrupted once more.
_AGAIN = 0.02
#: In this order: a file system cannot be taken away from external access that is still on.
_CLOSED = ("SET enable_external_access = false", "SET disabled_filesystems = 'LocalFileSystem'")
_PLACE = re.compile(r"\n\s*LINE (\d+):.*", re.DOTALL)


class Answer:
    """The rows of a query, in batches, as they are computed."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.schema = schema
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self._batches


@contextmanager
def answer(path: Path, sql: str, allow_files: bool = False) -> Iterator[Answer]:
    """The rows of a query over the work file at ``path``; of several statements, those of the last one.

    Columns of the same name get a number: symbol, symbol_1. An interrupt ends the query at once.

    Args:
        path: the work file.
        sql: the query, which the caller has from the user.
        allow_files: let it read and write other files too. The work file stays read-only.

    Raises UsageError: there is no work file, it cannot be opened, or the query fails.
    """
    with _Aside(path, allow_files) as aside:
        try:
            done = aside.do(lambda: aside.door.execute(sql))
            if done is None or aside.door.description is None:
                raise UsageError("the query is empty: give SQL, @FILE, or - for standard input")
            reader = aside.do(lambda: aside.door.to_arrow_reader(_BATCH_ROWS))
            schema = _distinct(reader.schema)
            yield Answer(schema, _batches(aside, reader, schema))
        except (duckdb.Error, pa.ArrowException) as error:
            raise UsageError(_explained(error)) from error


class _Aside:
    """A connection to the work file that a thread of its own works with, one call at a time.

    A call of DuckDB that fills a batch cannot be interrupted in the thread it runs in: ours waits, and interrupts it.
    """

    def __init__(self, path: Path, allow_files: bool) -> None:
        self._asked = path, allow_files
        self._running: Future[Any] | None = None

    @interrupts.undivided
    def __enter__(self) -> _Aside:
        self.door = _open(*self._asked)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="query")
        return self

    @interrupts.undivided
    def __exit__(self, *_: object) -> None:
        # Again and again: a call that is only about to begin does not hear of it.
        while self._running and wait([self._running], _AGAIN).not_done:
            self.door.interrupt()
        self._thread.shutdown()
        self.door.close()

    def do(self, work: Callable[[], T]) -> T:
        """What a call returns, or raises."""
        return self._begun(work).result()

    @interrupts.undivided
    def _begun(self, work: Callable[[], T]) -> Future[T]:
        self._running = begun = self._thread.submit(work)
        return begun


def _open(path: Path, allow_files: bool) -> duckdb.DuckDBPyConnection:
    if not path.is_file():
        raise UsageError(f"there is no work file {path}: make it with `candlemill run`, or give another with --duckdb")
    door = open_duckdb(threads=os.cpu_count() or 1)
    try:
        door.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
    except duckdb.Error as error:
        door.close()
        raise UsageError(f"the work file {path} cannot be opened: {one_line(error)}") from error
    door.execute("USE work")
    for setting in () if allow_files else _CLOSED:
        door.execute(setting)
    door.execute("SET python_enable_replacements = false")
    door.execute("SET lock_configuration = true")
    return door


def _batches(aside: _Aside, reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    def following() -> pa.RecordBatch | None:
        # A StopIteration cannot leave a future.
        return next(reader, None)

    while (batch := aside.do(following)) is not None:
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


def _explained(error: Exception) -> str:
    """DuckDB's message in one line, with its hint, and the place without the picture of it."""
    text = str(error)
    place = _PLACE.search(text)
    message = one_line(_PLACE.sub("", text)) + (f" (line {place[1]})" if place else "")
    if isinstance(error, duckdb.PermissionException):
        message += "; a query sees the work file alone, unless --allow-files is given"
    return f"the query failed: {message}"
