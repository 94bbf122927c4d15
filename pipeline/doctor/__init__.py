"""``doctor``: everything that a support question would ask first, each with how to mend it.

May import: base, settings, options, source, results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..settings import DEFAULT_WAL_LIMIT
from .files import disks, result_database, work_file
from .machine import environment, extension, versions
from .source import source

if TYPE_CHECKING:
    from pathlib import Path

    from .check import Check


def examine(url: str | None, sqlite: Path, duckdb: Path, wal_limit: int = DEFAULT_WAL_LIMIT) -> list[Check]:
    """All checks, none of which writes anything or tells a secret; SQLite rolls back what a killed writer has left.

    Args:
        url: the source; None: there is none.
        sqlite: the result database.
        duckdb: the work file.
        wal_limit: MB of the result database's write-ahead log from which on it is too large.
    """
    return [
        versions(),
        extension(),
        environment(),
        *source(url),
        *result_database(sqlite, wal_limit),
        work_file(duckdb),
        *disks(sqlite, duckdb),
    ]
