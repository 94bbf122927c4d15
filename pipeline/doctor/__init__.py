"""``doctor``: everything that a support question would ask first, each with how to mend it.

May import: base, options, source, results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .files import disks, result_database, work_file
from .machine import environment, extension, versions
from .source import source

if TYPE_CHECKING:
    from pathlib import Path

    from .check import Check


def examine(url: str | None, sqlite: Path, duckdb: Path) -> list[Check]:
    """All checks, none of which writes anything or tells a secret."""
    return [
        versions(),
        extension(),
        environment(),
        *source(url),
        *result_database(sqlite),
        work_file(duckdb),
        *disks(sqlite, duckdb),
    ]
