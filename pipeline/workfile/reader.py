"""Reading the public work file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb

from ..base.duck import open_duckdb
from ..base.errors import UsageError, one_line, shortened
from ..base.shortage import pass_on
from ..base.statements import literal, statement
from .provenance import marker_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..base.marker import Marker


@contextmanager
def published(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose tables are those of the work file, for reading; a run that goes on is not disturbed.

    Raises UsageError where there is no file, where it is something else than a work file, or where it is locked; and in
    the block where a statement meets something else than a work file has.
    """
    if not path.is_file():
        raise UsageError(f"there is no work file {path}: run `candlemill run` first, or give another with --duckdb")
    with open_duckdb() as connection:
        try:
            connection.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
            connection.execute("USE work")
            tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        except duckdb.Error as error:
            pass_on(error)
            if "lock" in str(error):
                raise UsageError(f"{path} is open for writing in another program: close it there") from error
            raise UsageError(f"{path} is not a work file of candlemill: {one_line(error)}") from error
        if not {"candles", "runs", "catalog"} <= tables:
            raise UsageError(f"{path} is not a work file of candlemill: give the file of a run with --duckdb")
        try:
            yield connection
        except duckdb.Error as error:
            raise UsageError(f"{path} is no work file of this version: {shortened(error)}; run again") from error


def is_of_demo(path: Path) -> bool:
    """Whether a file is a work file with the marker of the demo."""
    if not path.is_file():
        return False
    with open_duckdb() as connection:
        try:
            connection.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
            found = connection.execute(statement("workfile/comment")).fetchall()
        except duckdb.Error:
            # Whoever reads the file for good says what is wrong with it.
            return False
    return any(marker_of(comment).demo for (comment,) in found)


def marker_in(connection: duckdb.DuckDBPyConnection) -> Marker:
    """Whose results a published work file holds."""
    found = connection.execute(statement("workfile/comment")).fetchall()
    return marker_of(found[0][0] if found else None)


def run_records(connection: duckdb.DuckDBPyConnection, last: int | None = None) -> list[dict[str, Any]]:
    """Records of the newest runs (None: of all), oldest first, as ``Record.as_json`` gave them to the file.

    Raises UsageError where the file has others.
    """
    rows = connection.execute(statement("workfile/newest_runs"), {"last": last})
    with open_duckdb() as other:
        other.execute(statement("workfile/runs"))
        declared = other.execute("SELECT column_name, column_type, \"null\" = 'YES' FROM (DESCRIBE runs)").fetchall()
    found = {name: str(kind) for name, kind, *_ in rows.description}
    # What may be NULL, older versions do not have.
    lacking = [name for name, kind, may in declared if found.get(name, kind if may else "") != kind]
    if lacking:
        raise UsageError(f"the runs in the work file are of another version ({', '.join(lacking)}): run again")
    try:
        absent = {name: None for name, *_ in declared if name not in found}
        return [_as_json(row | absent) for row in rows.to_arrow_table().to_pylist()]
    except (ValueError, OverflowError, AttributeError, TypeError) as error:
        raise UsageError(f"the runs in the work file cannot be read ({shortened(error)}): run again") from error


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    moments = {name: row[name].isoformat() for name in ("started_at", "finished_at", "as_of")}
    return row | moments | {"skipped": dict(row["skipped"])}
