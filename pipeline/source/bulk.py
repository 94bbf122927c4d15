"""The two ways in which rows come in bulk, as Arrow: ConnectorX, and COPY through libpq where ConnectorX cannot go.

ConnectorX opens a session of its own for each statement. With the server itself, the settings are options in its URL;
where a pooler pools sessions, a transaction that has them is begun before the statement. Where transactions are pooled
its statements get lost, and of TLS it cannot do all that libpq does. There the same statement goes through COPY.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import psycopg

from ..base.statements import Sql, join
from .session import LONGEST_SECONDS, Session, connected, pools_sessions
from .urls import connectorx_url

if TYPE_CHECKING:
    import pyarrow as pa


class ReadError(Exception):
    """Rows did not come; the text says why, and may hold secrets."""


class Bulk(Protocol):
    """A way to read in bulk."""

    def read(self, query: Sql, schema: pa.Schema) -> pa.Table:
        """Rows of a query, whose columns are text and whole numbers. Raises ReadError."""


def bulk(connection: Session, url: str) -> Bulk:
    """The way to read what a session with the same URL has reached."""
    place, patience = connectorx_url(connection), connection.patience or LONGEST_SECONDS
    if place is None or not (connection.direct or pools_sessions(connection, url)):
        return ByCopy(url, connection.carried, patience)
    return ByConnectorX(place, () if connection.direct else (Sql("BEGIN"), connection.carried), patience)


@dataclass(frozen=True)
class ByConnectorX:
    """ConnectorX, which knows no time limit: a statement without an answer is left to itself.

    Attributes:
        url: as ConnectorX takes it.
        before: statements that it sends first, in the same session.
        patience: seconds for which an answer is waited for.
    """

    url: str = field(repr=False)
    before: tuple[Sql, ...]
    patience: float

    def read(self, query: Sql, schema: pa.Schema) -> pa.Table:  # noqa: ARG002 - the server says the types
        """Rows of a query. Raises ReadError."""
        import connectorx

        coming: Future[pa.Table] = Future()

        def fulfil() -> None:
            how = {"protocol": "binary", "return_type": "arrow", "pre_execution_query": list(self.before)}
            try:
                coming.set_result(connectorx.read_sql(self.url, query, **how))
            except BaseException as error:
                # A Rust panic is a BaseException of its own.
                coming.set_exception(error)

        threading.Thread(target=fulfil, name="connectorx", daemon=True).start()
        try:
            return coming.result(self.patience)
        except TimeoutError:
            raise ReadError(f"no answer within {self.patience:.0f} s") from None
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            raise ReadError(str(error)) from None


@dataclass(frozen=True)
class ByCopy:
    """COPY in a transaction that begins with the settings.

    Attributes:
        url: as libpq takes it.
        settings: the statement that sets them.
        patience: seconds for which an answer is waited for.
    """

    url: str = field(repr=False)
    settings: Sql
    patience: float

    def read(self, query: Sql, schema: pa.Schema) -> pa.Table:
        """Rows of a query. Raises ReadError."""
        try:
            with connected(self.url) as connection, connection.waiting(self.patience):
                connection.execute(join([Sql("BEGIN"), self.settings], "; ").encode())
                with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)".encode()) as copy:
                    text = b"".join(copy)
                connection.commit()
        except psycopg.Error as error:
            raise ReadError(str(error)) from None
        return parsed(text, schema)


def parsed(text: bytes, schema: pa.Schema) -> pa.Table:
    """The rows in what COPY gives as CSV; an empty field is NULL, one in quotes a text."""
    import pyarrow as pa
    from pyarrow import csv

    if not text:
        return schema.empty_table()
    return csv.read_csv(
        pa.BufferReader(text),
        # One block, because a row does not end with its line.
        read_options=csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=len(text) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
