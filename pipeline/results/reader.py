"""Reading the result database, as others do while it is written."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from ..base.errors import SinkError, UsageError
from ..base.marker import DESK, Marker
from ..base.statements import Sql, identifier, join, render, statement
from ..settings import unknown
from .changes import Change, Words, categories
from .ownership import marker_of
from .retention import native
from .rows import SYMBOL
from .sink import Sink
from .table import existing_tables
from .times import in_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb

    from ...indicators.contract import Indicator

#: Seconds in which a database is tried again that another process has for itself.
_PATIENCE = 5.0


@contextmanager
def result_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads a result database in one transaction, attached under its name, for ``native``.

    Raises UsageError where there is none, or it cannot be read.
    """
    if not path.is_file():
        raise UsageError(
            f"there is no result database {path}: run `candlemill run` first, or give another with --sqlite"
        )
    try:
        with Sink(path, _PATIENCE).reading() as connection:
            yield connection
    except SinkError as error:
        raise UsageError(str(error)) from error


def is_of_demo(path: Path) -> bool:
    """Whether a file is a result database with the marker of the demo."""
    if not path.is_file():
        return False
    try:
        with result_database(path) as connection:
            found = marker_in(connection)
    except (UsageError, ValueError):
        # Whoever reads the file for good says what is wrong with it.
        return False
    return found.demo


def marker_in(connection: duckdb.DuckDBPyConnection) -> Marker:
    """Whose results a database holds that is read. Raises ValueError for a profile that is not known here."""
    [(number,)] = native(connection, Sql("SELECT application_id FROM pragma_application_id"))
    return marker_of(int(number)) or DESK


def changes(
    connection: duckdb.DuckDBPyConnection,
    indicators: Sequence[Indicator],
    intervals: Sequence[str] = (),
    symbols: Sequence[str] = (),
    words: Words | None = None,
) -> list[Change]:
    """Which words of each series' newest row are other ones than in the row before it.

    Args:
        connection: to the database.
        indicators: whose columns are looked at, where the database has them.
        intervals: those to look at; none: all.
        symbols: likewise.
        words: takes in what is found.

    Raises UsageError for a symbol that the database does not have.
    """
    words = words or Words()
    chosen = {declared.table: declared for declared in indicators if categories(declared)}
    asked = [json.dumps(list(names), ensure_ascii=False) for names in (intervals, symbols)]
    found: list[Change] = []
    seen: set[str] = set()
    for table, there in existing_tables(connection, list(chosen)).items():
        if there.refusal():
            continue
        declared = chosen[table]
        cells = []
        for place, column in enumerate(categories(declared)):
            label = declared.label(column)
            cell = Sql(f"CAST(t.{identifier(label)} AS TEXT)") if label.lower() in there.columns else Sql("NULL")
            cells.append(Sql(f"{cell} AS {identifier(f'w{place}')}"))
        query = render(statement("results/two_newest"), table=identifier(table), words=join(cells))
        for symbol, interval, text, *texts in native(connection, query, *asked):
            seen.add(symbol)
            if (time := in_utc(text)) is not None:
                found += words.see(declared, symbol, interval, datetime.fromisoformat(time), tuple(texts))
    if missing := [symbol for symbol in symbols if symbol not in seen]:
        raise unknown("symbol", missing[0], _symbols(connection, [declared.table for declared in indicators]))
    return found


def _symbols(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[str]:
    """The symbols of some tables."""
    there = [name for name, table in existing_tables(connection, names).items() if not table.refusal()]
    parts = [Sql(f"SELECT {identifier(SYMBOL)} AS symbol FROM {identifier(name)}") for name in there]
    return [symbol for (symbol,) in native(connection, join(parts, " UNION "))] if parts else []
