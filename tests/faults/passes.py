"""A folder with the two files of a run, runs over it at successive moments, and what its tables then show."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.conftest import CANDLEMILL, Ran, dump_of
from tests.goldens import HERE, KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

CASE = HERE / "synth_core"
SYMBOLS = ("AAAUSDT", "BTCUSDT", "DOWNUSDT")
START = datetime(2026, 1, 22, 8, 2, tzinfo=UTC)
#: Rows kept per series by the runs of ``again``.
RETENTION = 20
#: In every table and at every moment, the newest row of the run is that many minutes older than its as-of.
AGE = 2


def moment(step: int) -> datetime:
    """As-of of a run; each step is one bar at 5m."""
    return START + step * timedelta(minutes=5)


def newest_of(step: int) -> str:
    """数据时间 of the newest rows of a run."""
    return (moment(step) - timedelta(minutes=AGE)).isoformat()


class Child(subprocess.Popen[str]):
    """A run that ends with its block where a test fails in it: one that is stopped would be waited for for ever."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.kill()
        super().__exit__(kind, error, trace)


@dataclass(frozen=True)
class Place:
    """A folder of runs: its ``result.db`` and its ``work.duckdb``."""

    folder: Path
    url: str

    @property
    def database(self) -> Path:
        return self.folder / "result.db"

    @property
    def work(self) -> Path:
        return self.folder / "work.duckdb"

    def words(self, step: int, *more: str) -> list[str]:
        """The command line of a run of all indicators."""
        asked = ["--symbols", ",".join(SYMBOLS), "--intervals", "5m", "--as-of", moment(step).isoformat()]
        files = ["--sqlite", "result.db", "--duckdb", "work.duckdb"]
        return [str(CANDLEMILL), "run", "--source", self.url, *asked, *files, *more]

    def begin(self, step: int, *more: str, **how: Any) -> Child:
        """A run that goes on; its log is to be read from its standard error."""
        words = self.words(step, *more)
        return Child(words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)

    def run(self, step: int, *more: str, **how: Any) -> Ran:
        """A whole run."""
        with self.begin(step, *more, **how) as child:
            out, err = child.communicate(timeout=120)
        return Ran(child.returncode, out, err)

    def copy(self, folder: Path, journal: str | None = None) -> Place:
        """The same files in another folder, the database in another journal mode."""
        folder.mkdir(parents=True)
        for file in (self.database, self.work):
            shutil.copy(file, folder)
        other = Place(folder, self.url)
        if journal:
            with closing(sqlite3.connect(other.database)) as connection:
                assert connection.execute(f"PRAGMA journal_mode = {journal}").fetchone() == (journal,)
        return other

    def strays(self) -> list[str]:
        """What lies in the folder beside the two files and SQLite's own."""
        own = {"result.db", "result.db-wal", "result.db-shm", "work.duckdb"}
        return sorted(file.name for file in self.folder.iterdir() if file.name not in own)


def shown(database: Path) -> dict[str, str]:
    """数据时间 of the newest row of every table, as one transaction sees them."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return newest_rows(connection)


def newest_rows(connection: sqlite3.Connection) -> dict[str, str]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    parts = [f"SELECT '{name}', (SELECT {KEY[2]} FROM \"{name}\" ORDER BY rowid DESC LIMIT 1)" for name in tables]
    return dict(connection.execute(" UNION ALL ".join(parts)).fetchall())


def sound(database: Path) -> bool:
    """Whether SQLite finds the database in order."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def rows_in(database: Path) -> Mapping[str, list[tuple[Any, ...]]]:
    """The rows of every table without their rowids, in order."""
    return {name: sorted((r[1:] for r in rows), key=repr) for name, rows in dump_of(database).items()}
