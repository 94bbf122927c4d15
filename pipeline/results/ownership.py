"""Whose an SQLite file is: ours, the demo's or another application's.

The marker stands in the field of the file's header that SQLite has for it, ``application_id``: it is no table, so
readers that list the tables see those of the results alone. Copies by ``.backup`` and VACUUM keep it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...indicators.profiles import PROFILES
from ...indicators.registry import INDICATORS
from ..base.errors import SinkError, UsageError
from ..base.marker import DESK, Marker
from ..base.statements import Sql, literal, statement
from .retention import native
from .rows import KEY

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

#: The application_id of our files: "cml" in ASCII, then a byte whose lowest bit means the demo; the others are the
#: number of the profile.
_SIGNATURE = 0x636D6C00


def application_id(marker: Marker) -> int:
    """The marker as a number of 32 bits."""
    return _SIGNATURE | PROFILES.index(marker.profile) << 1 | marker.demo


def marker_of(number: int) -> Marker | None:
    """The marker that a number stands for; None for the number of another application, or none at all.

    Raises ValueError for that of a profile that is not known here.
    """
    if number & ~0xFF != _SIGNATURE:
        return None
    profile = (number & 0xFF) >> 1
    if profile >= len(PROFILES):
        raise ValueError(number)
    return Marker(bool(number & 1), PROFILES[profile])


def check_logs(path: Path) -> None:
    """Raise SinkError where a log is there without its database: SQLite deletes it when it makes a new one."""
    for log in (path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal")):
        if log.exists() and log.stat().st_size and not path.exists():
            raise SinkError(
                f"there is {log} without the result database {path}, and may hold the newest of its rows: "
                "put the database back beside it, move it away, or give another file with --sqlite"
            )


def lacks_marker(connection: duckdb.DuckDBPyConnection, path: Path, marker: Marker, adopt: bool) -> bool:
    """Whether the attached database is an empty one that needs the marker yet.

    A database is ours where it is empty, has a marker of ours, or one of the result tables with its key columns.

    Args:
        connection: has it attached.
        path: what errors call it.
        marker: what results are to be written.
        adopt: whether the database of another application is taken, too.

    Raises:
        UsageError: it holds results of another kind.
        SinkError: it belongs to another application.
    """
    tables = json.dumps([indicator.table for indicator in INDICATORS.values()], ensure_ascii=False)
    [(number, objects, ours)] = native(connection, statement("results/owner"), tables, json.dumps(KEY))
    try:
        found = marker_of(int(number))
    except ValueError as error:
        raise UsageError(f"{path} was made by a newer candlemill: update this one, or give another --sqlite") from error
    if not int(objects) and (found or not int(number)):
        return found != marker
    if not (found or int(ours) or (adopt and not marker.demo)):
        raise SinkError(
            f"{path} is a database of another application, without any table of results: "
            "give another file with --sqlite, or write into it all the same with --adopt"
        )
    marker.check(found or DESK, path, "--sqlite")
    return False


def opening(journal: Sql, marked: Marker | None) -> Sql:
    """Option of ATTACH that sets the journal mode and, where it is given, the marker.

    DuckDB puts the mode into a pragma while it opens the file, the one moment at which no transaction is open. What
    follows a semicolon there is a statement of its own.
    """
    marking = Sql(f"; PRAGMA application_id = {literal(application_id(marked))}") if marked else Sql("")
    return Sql(f"JOURNAL_MODE '{journal}{marking}'")
