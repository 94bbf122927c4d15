"""The symbols of a work file, read as fast as it goes: a shell that completes them waits for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb

from ..base.duck import open_duckdb
from ..base.statements import literal, statement

if TYPE_CHECKING:
    from pathlib import Path


def symbols_of(path: Path) -> list[str]:
    """Symbols that have bars in a work file, as it says itself; none where it is no work file that can be read."""
    if not path.is_file():
        return []
    try:
        with open_duckdb() as connection:
            connection.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
            [(comment,)] = connection.execute(statement("workfile/comment")).fetchall()
        return [str(symbol) for symbol in json.loads(comment or "")["symbols"]]
    except (duckdb.Error, ValueError, TypeError, LookupError):
        return []
