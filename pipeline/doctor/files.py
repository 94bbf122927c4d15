"""The result database, the work file, and the disks that they are on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb

from ...indicators.registry import INDICATORS
from ..base.duck import open_duckdb
from ..base.errors import SinkError, one_line
from ..base.statements import Sql, literal, statement
from ..results.retention import native
from ..results.sink import Sink, wal_advice, wal_mb
from .check import Check, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Free space below which a run may not finish, whatever the files are.
ENOUGH_MB = 500
#: A run may write both files anew beside the present ones.
_TIMES = 2


def result_database(path: Path, wal_limit: int) -> Iterator[Check]:
    """Whether results can be written, whether what is there is sound, and whether its log is below some MB."""

    def writable() -> str:
        with Sink(path, lock_timeout=0) as sink:
            sink.check(list(INDICATORS.values()))
        return f"{path} can be written" if path.exists() else f"{path} will be created"

    first = attempt("result database", writable)
    yield first
    if first.ok and path.exists() and path.stat().st_size:
        size = wal_mb(path)
        yield Check("write-ahead log", size < wal_limit, wal_advice(path, size) if size >= wal_limit else f"{size} MB")
        yield attempt("result database is sound", lambda: _sound(path))


def _sound(path: Path) -> str:
    with Sink(path, lock_timeout=0) as sink, sink.reading() as connection:
        mode = str(native(connection, Sql("PRAGMA journal_mode"))[0][0])
        faults = [str(fault) for (fault,) in native(connection, statement("doctor/quick_check"))]
        tables = {name for (name,) in native(connection, statement("doctor/table_names"))}
    if faults != ["ok"]:
        raise SinkError(f"{path} is damaged ({one_line(faults[0])}): restore it, or move it away and run again")
    ours = len(tables & {declared.table for declared in INDICATORS.values()})
    later = "" if mode == "wal" else " (a run switches it to wal, so that readers never wait)"
    return f"{_mb(path)} MB, journal mode {mode}{later}, {ours} tables of ours, {len(tables) - ours} of others"


def work_file(path: Path) -> Check:
    """Whether the work file is one of ours and can be read."""

    def look() -> str:
        if path.is_dir():
            raise SinkError(f"{path} is a directory: give a file with --duckdb")
        if not path.exists():
            return f"{path} will be created"
        try:
            with open_duckdb() as connection:
                connection.execute(f"ATTACH {literal(str(path))} AS work (READ_ONLY)")
                [(runs, last)] = connection.execute(statement("doctor/runs")).fetchall()
                [(tags,)] = connection.execute(statement("doctor/storage")).fetchall()
        except duckdb.Error as error:
            raise SinkError(
                f"{path} cannot be read as a work file ({one_line(error)}): "
                "close the program that writes to it, give another file with --duckdb, or move it away"
            ) from error
        return f"{_mb(path)} MB, storage version {tags}, the record of {runs} runs, the last by candlemill {last}"

    return attempt("work file", look)


def disks(sqlite: Path, duckdb_path: Path) -> Iterator[Check]:
    """Whether there is room for the files in each of the places."""
    places: dict[Path, list[Path]] = {}
    for file in (sqlite, duckdb_path):
        places.setdefault(file.resolve().parent, []).append(file)
    for folder, files in sorted(places.items()):
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(nearest).free // 2**20
        wanted = max(ENOUGH_MB, _TIMES * sum(_mb(file) for file in files))
        advice = "" if free >= wanted else f": free at least {wanted} MB, or give other places"
        yield Check("free disk", free >= wanted, f"{free} MB in {nearest}{advice}")


def _mb(path: Path) -> int:
    return -(-path.stat().st_size // 2**20) if path.is_file() else 0
