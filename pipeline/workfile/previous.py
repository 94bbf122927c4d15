"""What stands where a work file shall: whether it may be replaced, and what is lost with it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...indicators.registry import INDICATORS
from ..base.errors import SinkError
from ..base.statements import statement
from .provenance import Provenance, listed, marker_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb

    from ..base.marker import Marker

#: Columns by which a work file of any version is known, by table.
_SIGNS = {"candles": {"symbol", "bucket_ts"}, "runs": {"run_id"}, "catalog": {"indicator", "sqlite_table"}}
_TABLES = {*_SIGNS, "futures_metrics", *INDICATORS}


@dataclass(frozen=True)
class Previous:
    """The tables of a DuckDB file.

    Attributes:
        columns: of each table.
        indicators: names in its catalogue, if it has one: those of an older version, or of somebody's own indicators.
        comment: of its candles, which says where they come from.
    """

    columns: Mapping[str, Sequence[str]]
    indicators: Sequence[str]
    comment: str | None

    @classmethod
    def read(cls, connection: duckdb.DuckDBPyConnection) -> Previous:
        """Of the file that is attached as ``previous``. Raises duckdb.Error."""
        found = connection.execute(statement("workfile/previous_tables")).fetchall()
        columns = {table: names for table, names, _ in found}
        named: list[str] = []
        if "indicator" in columns.get("catalog", ()):
            query = "SELECT DISTINCT indicator FROM previous.catalog"
            named = [name for (name,) in connection.execute(query).fetchall()]
        return cls(columns, named, next((comment for table, _, comment in found if table == "candles"), None))

    def check(self, path: Path, marker: Marker) -> None:
        """Raise SinkError where it is no work file, UsageError where it holds results of another kind."""
        if not all(signs <= set(self.columns.get(table, ())) for table, signs in _SIGNS.items()):
            raise foreign(path)
        marker.check(marker_of(self.comment), path, "--duckdb")

    def check_changes(self, path: Path) -> None:
        """Raise SinkError where somebody has put tables of his own into it, or changes that are in its log alone."""
        log = path.with_name(f"{path.name}.wal")
        if log.exists() and log.stat().st_size:
            raise SinkError(
                f"somebody has changed the work file {path}, and what he changed is in {log}, which DuckDB would bring "
                "into any file of that name: end his program, or move the log away"
            )
        others = sorted(set(self.columns) - _TABLES - set(self.indicators))
        if others:
            raise SinkError(
                f"the work file {path} has tables that no run made, and would lose them ({listed(others)}): "
                "move them to a file of their own, or give another with --duckdb"
            )

    def lost(self, now: Provenance) -> list[str]:
        """What it has and the one that takes its place has not; nothing where it does not say what it has."""
        try:
            return now.lacks(Provenance.from_text(self.comment))
        except ValueError:
            return []


def check_regular(path: Path) -> bool:
    """Whether there is a file with something in it. Raises SinkError where there is something else than a file."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise SinkError(f"the work file {path} is a directory: give a file with --duckdb")
    if not stat.S_ISREG(found.st_mode):
        raise SinkError(f"the work file {path} is no regular file: give a file with --duckdb")
    return found.st_size > 0


def foreign(path: Path) -> SinkError:
    """The error for a file that is something else than a work file."""
    return SinkError(f"{path} is not a work file of candlemill: give another file with --duckdb, or move it away")
