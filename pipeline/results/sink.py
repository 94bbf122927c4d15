"""The SQLite result database: the one module that opens it, and the one transaction that writes it.

Everything goes through DuckDB's sqlite extension. Python's own sqlite3 must never open the file in this process: two
SQLite libraries in one process do not see each other's locks, and corrupt it.

A writer that meets another process's lock cannot wait inside a transaction: DuckDB begins it for reading, and SQLite
refuses the upgrade at once. So the whole transaction is tried again, on a new connection, until the time is up.
"""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from ..base import folders
from ..base.errors import SinkError, one_line
from ..base.marker import DESK, Marker
from ..base.patience import patiently
from ..base.shortage import shortage
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..base.threads import in_thread
from ..record import SILENT, Observer
from ..settings import DEFAULT_WAL_LIMIT
from .extension import opened
from .insertion import Insertion
from .ownership import check_logs, lacks_marker, opening
from .replacement import Written, differs, replace_rows
from .retention import ATTACHED, by_time, crowded_intervals, native
from .rows import Batches
from .table import ResultTable, ends_of, existing_tables, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import pyarrow as pa

    from ...indicators.contract import Indicator
    from ..settings import Settings
    from .insertion import Incoming
    from .retention import ByTime
    from .rows import Batch

log = logging.getLogger(__name__)

#: Option of ``ATTACH``: how long SQLite itself waits for a lock, milliseconds. Whoever opens or closes the database
#: has it alone for a moment; those who keep it are waited for by trying again.
_BRIEFLY = Sql("BUSY_TIMEOUT 100")
_MB = 1 << 20

#: How a database switches to write-ahead logging. It is one write of a few bytes in the first sector and needs no
#: rollback journal. With one, a run that is killed here would leave it for the next writer to roll back, and until then
#: SQLite would refuse everybody who opens the file read-only.
_SWITCH_TO_WAL = Sql("OFF; PRAGMA journal_mode = WAL")


#: All that the tables of a database are made of. In digits, as somebody's views may have bytes that are no text.
_SCHEMA = Sql("SELECT type, hex(name) AS name, hex(tbl_name) AS tbl, rootpage, hex(sql) AS sql FROM sqlite_master")


class LockedError(SinkError):
    """Another process holds the lock of the result database."""


class _UnreadSchemaError(SinkError):
    """The database has a view, a trigger or an index in words that DuckDB's SQLite does not know."""


class Sink:
    """One result database; a context manager that closes what it opened.

    One DuckDB instance serves the check and the write. After an error it is thrown away: after a failed commit it may
    keep a lock that shuts out every reader.

    In a database that is filled to its retention, most of the work of a write is to find what falls out. ``prepare``
    does it ahead of time, while the source is read: it opens the transaction and reads in it. SQLite refuses to write
    in a transaction that others have overtaken; then, as whenever the database is locked, everything is done anew.
    """

    def __init__(
        self,
        path: Path,
        lock_timeout: float,
        marker: Marker = DESK,
        adopt: bool = False,
        wal_limit: int = DEFAULT_WAL_LIMIT,
        opening: Future[duckdb.DuckDBPyConnection] | None = None,
    ) -> None:
        """The result database at a path.

        Args:
            path: where it is.
            lock_timeout: seconds in which it is tried again while another process holds it.
            marker: what results are to be written.
            adopt: whether the database of another application is taken, too.
            wal_limit: MB of its write-ahead log from which on it is emptied where readers let it, and told of else.
            opening: the connection with the extension that it is to use, where somebody has begun to open one.
        """
        self.path = path
        self.lock_timeout = lock_timeout
        self.wal_limit = wal_limit
        self._marker, self._adopt = marker, adopt
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._opening = opening
        self._prepared: Future[dict[str, ByTime]] | None = None
        #: Rows written and pruned by what is not committed yet.
        self._inserted = 0, 0
        #: Whether parts of the schema that SQLite cannot read are passed over.
        self._lenient = False
        #: The schema that was seen last, and for whom, with its tables.
        self._seen: tuple[object, dict[str, ResultTable]] | None = None
        #: Size of the write-ahead log at which it was told of last.
        self._told_mb = 0

    @classmethod
    def of(cls, settings: Settings, opening: Future[duckdb.DuckDBPyConnection] | None = None) -> Sink:
        """The result database that a pass is asked to write."""
        limits = settings.lock_timeout, settings.marker, settings.adopt, settings.wal_limit
        return cls(settings.sqlite, *limits, opening)

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def check(self, indicators: Sequence[Indicator]) -> None:
        """Look, without writing, whether the results of these indicators can be written.

        Raises:
            SinkError: they cannot.
            UsageError: the database holds results of another kind.
        """
        if self.path.is_dir():
            raise SinkError(f"the result database {self.path} is a directory: give a file with --sqlite")
        if self.path.exists() and not self.path.is_file():
            raise SinkError(f"the result database {self.path} is no regular file: give a file with --sqlite")
        check_logs(self.path.resolve())
        if self.path.exists() and self.path.stat().st_size:
            self._retried(lambda connection: self._inspect(connection, indicators))
        _probe_folder(self.path)

    def prepare(
        self, indicators: Sequence[Indicator], expected: Mapping[str, datetime], keep: Callable[[str], int]
    ) -> None:
        """Load what writing needs, and begin to read of the tables what falls out of the retention.

        Args:
            indicators: what is going to be written.
            expected: the newest time that each interval can have then.
            keep: rows to keep for an interval's name.

        Raises SinkError where the extension is missing or damaged.
        """
        connection = self._connected()
        if self.path.exists() and self.path.stat().st_size:
            newest = {interval: time.isoformat() for interval, time in expected.items()}
            # It does not step back: where the tables are full it reads for as long as a run computes, and the writing
            # would wait for the rest of it.
            reading = in_thread(lambda: self._read_ahead(connection, indicators, newest, keep), "sink", awaited=True)
            self._prepared = reading

    def _read_ahead(
        self,
        connection: duckdb.DuckDBPyConnection,
        indicators: Sequence[Indicator],
        newest: Mapping[str, str],
        keep: Callable[[str], int],
    ) -> dict[str, ByTime]:
        """Open the transaction, and read in it what each table holds in intervals where something may fall out."""
        self._begin(connection)
        existing = self._existing(connection, [indicator.table for indicator in indicators])
        known = [name for name, table in existing.items() if table.indexed and not table.refusal()]
        crowded = crowded_intervals(connection, [identifier(name) for name in known], newest, keep)
        return {name: by_time(connection, identifier(name), crowded[identifier(name)]) for name in known}

    def insert(
        self,
        results: Mapping[Indicator, pa.Table],
        keep: Callable[[str], int],
        before_commit: Callable[[], None] = lambda: None,
        adding: bool = False,
    ) -> None:
        """Bring the newest rows of all indicators into a transaction, which ``commit`` ends.

        Rows of the same key are replaced, save by a row without values; of each (symbol, interval) the newest
        ``keep(interval)`` rows stay. Raises SinkError, and then nothing is written.

        Args:
            results: finished rows by indicator, with symbol, interval, bucket_ts and the indicator's columns.
            keep: rows to keep for an interval's name.
            before_commit: called when all rows are in and nothing is committed; what it raises undoes them.
            adding: leave all rows that are there as they are; a pair's rows then are in the order of time.
        """
        self._insert_all(list(results), [list(results.items())], keep, before_commit, adding)

    @contextmanager
    def insertion(self, indicators: Sequence[Indicator], keep: Callable[[str], int]) -> Iterator[Insertion]:
        """An insertion, as ``insert`` does it, of rows that come one indicator after the other.

        A block that fails undoes it.

        Args:
            indicators: those of which rows may come.
            keep: rows to keep for an interval's name.
        """
        insertion = Insertion(lambda rows: self._insert_all(indicators, rows, keep))
        try:
            yield insertion
        except BaseException:
            insertion.abandon()
            self._close()
            raise

    def _insert_all(
        self,
        indicators: Sequence[Indicator],
        incoming: Incoming,
        keep: Callable[[str], int],
        before_commit: Callable[[], None] = lambda: None,
        adding: bool = False,
    ) -> None:
        try:
            folders.make(self.path.parent)
        except OSError as error:
            raise SinkError(f"the folder of {self.path} cannot be made: {error.strerror}") from error
        names, batches = [indicator.table for indicator in indicators], Batches()
        self._retried(
            lambda connection: self._insert(connection, names, map(batches.of, incoming), keep, before_commit, adding)
        )

    def commit(self, observer: Observer = SILENT) -> None:
        """Commit what ``insert`` brought in, and tell the observer. Raises SinkError, and then nothing is written."""
        self._attempted(lambda connection: connection.execute("COMMIT"))
        observer.committed(*self._inserted)
        try:
            self._tidy(self._connected())
        except duckdb.Error as error:
            self._close()
            log.warning("the results are written, but %s was not closed well: %s", self.path, one_line(error))

    def _tidy(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Empty the write-ahead log where it has grown large, as far as readers let it, and close the database.

        SQLite writes the log's pages into the database after every commit, but begins it anew only when no reader is in
        a transaction. The pragma does both at once, and waits for readers no longer than SQLite does for a lock.
        """
        if wal_mb(self.path) >= self.wal_limit and not self._lenient:
            native(connection, Sql("PRAGMA wal_checkpoint(TRUNCATE)"))
        self._detach(connection)
        size = wal_mb(self.path)
        if size < self.wal_limit:
            self._told_mb = 0
        elif size >= 2 * self._told_mb:
            # Told again when it has doubled.
            self._told_mb = size
            log.warning("%s", wal_advice(self.path, size))

    def _insert(
        self,
        connection: duckdb.DuckDBPyConnection,
        names: Sequence[str],
        incoming: Iterator[Mapping[Indicator, Batch]],
        keep: Callable[[str], int],
        before_commit: Callable[[], None],
        adding: bool,
    ) -> None:
        known = self._taken()
        if known is None:
            self._begin(connection, names)
        existing = self._existing(connection, names)
        self._refuse(existing)
        if used_up := ends_of(connection, list(existing)):
            raise SinkError(
                f"the table {used_up[0]} in {self.path} has no row numbers left after its last one: "
                "move the file away, or give another one with --sqlite"
            )
        triggers = any(table.acts == "all" for table in existing.values())
        done: dict[Indicator, Written] = {}
        for batches in incoming:
            careful = [
                indicator
                for indicator in batches
                if (table := existing.get(indicator.table)) and (triggers or not fits(indicator, table))
            ]
            done |= replace_rows(connection, batches, existing, keep, known or {}, careful, adding)
        for indicator, written in done.items():
            if written.checked is not None and differs(connection, indicator, written.checked):
                raise SinkError(
                    f"the table {indicator.table} in {self.path} does not keep what is written into it: remove its "
                    "triggers and constraints with ON CONFLICT, look at its types, or give another file with --sqlite"
                )
        before_commit()
        self._inserted = sum(written.rows for written in done.values()), sum(w.pruned for w in done.values())

    def _taken(self) -> dict[str, ByTime] | None:
        """What was read in the transaction that ``prepare`` opened; None: no transaction is open."""
        found = self._prepared.result() if self._prepared else None
        self._prepared = None
        return found

    def _inspect(self, connection: duckdb.DuckDBPyConnection, indicators: Sequence[Indicator]) -> None:
        # A journal may be what a writer left that was killed: SQLite rolls it back, but not where it may read only.
        journal = self.path.with_name(f"{self.path.name}-journal")
        with self._attached(connection, *([] if journal.exists() else [Sql("READ_ONLY")])):
            self._open(connection)
            self._refuse(self._existing(connection, [indicator.table for indicator in indicators]))
            self._lacks_marker(connection)
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction that reads the database, for ``native``. Raises SinkError where it cannot be read."""
        try:
            self._retried(self._open_to_read)
            yield self._connected()
        except duckdb.Error as error:
            raise self._explained(error) from error
        finally:
            self._close()

    def _open_to_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._attach(connection, Sql("READ_ONLY"))
        self._open(connection)
        native(connection, Sql("SELECT count(*) AS n FROM sqlite_master"))

    def _existing(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable]:
        """What there is of those names. Of a schema that was seen last it is known, and to look takes 20 ms."""
        asked = native(connection, _SCHEMA), tuple(names), self._lenient
        if self._seen is None or self._seen[0] != asked:
            self._seen = asked, existing_tables(connection, names)
        return self._seen[1]

    def _refuse(self, tables: Mapping[str, ResultTable]) -> None:
        _refuse_foreign(self.path, tables)
        for name, table in tables.items():
            if self._lenient and (table.unread or table.acts == "all"):
                raise SinkError(
                    f"{self.path} is written by a newer SQLite, and the table {name} has triggers or indexes that this "
                    "one may not know: remove them, or give another file with --sqlite"
                )

    def _begin(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str] | None = None) -> None:
        """Open the transaction, on a database of ours in write-ahead logging, so that readers never wait.

        Args:
            connection: to open it on.
            names: tables; where one of them is there, the transaction takes the lock at once. None: it reads first, and
                is refused the lock when others write meanwhile.
        """
        mode, unmarked = "", True
        if self.path.exists():
            self._attach(connection)
            table = self._first_of(connection, names) if names else None
            self._open(connection)
            if table is not None:
                # For the first statement of a transaction SQLite waits, and gets the newest state.
                native(connection, render(statement("results/take_lock"), table=identifier(table)))
            # Looked at in the transaction, and not before it: for whoever closes the file last, SQLite locks everybody
            # out while it tidies up.
            mode, unmarked = self._journal_mode(connection), self._lacks_marker(connection)
            if mode == "wal" and not unmarked:
                return
            connection.execute("ROLLBACK")
            self._detach(connection)
        if not self.path.exists():
            # SQLite would let nobody but its owner write, whatever the user's mask says; and it tells what is wrong.
            with suppress(OSError):
                self.path.touch()
        journal = Sql("WAL") if mode == "wal" else _SWITCH_TO_WAL
        with self._attached(connection, opening(journal, self._marker if unmarked else None)):
            mode = self._journal_mode(connection)
        if mode != "wal":
            raise SinkError(
                f"the result database {self.path} stays in journal mode {mode!r}: readers would block; "
                "put it on a local disk, where SQLite can use WAL"
            )
        self._attach(connection)
        self._open(connection)
        if self._lacks_marker(connection):
            raise LockedError(f"the result database {self.path} was made by another process meanwhile: run again")

    def _first_of(self, connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> str | None:
        """One of some tables that is in the database."""
        self._open(connection)
        found = native(connection, statement("results/first_table"), json.dumps(list(names), ensure_ascii=False))
        connection.execute("COMMIT")
        return str(found[0][0]) if found else None

    def _open(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Begin a transaction."""
        connection.execute("BEGIN")
        if self._lenient:
            # SQLite sets it while it compiles the statement, and EXPLAIN has rows, as sqlite_query wants.
            native(connection, Sql("EXPLAIN PRAGMA writable_schema = ON"))

    def _lacks_marker(self, connection: duckdb.DuckDBPyConnection) -> bool:
        return lacks_marker(connection, self.path, self._marker, self._adopt)

    @staticmethod
    def _journal_mode(connection: duckdb.DuckDBPyConnection) -> str:
        return str(native(connection, Sql("PRAGMA journal_mode"))[0][0])

    @contextmanager
    def _attached(self, connection: duckdb.DuckDBPyConnection, *options: Sql) -> Iterator[None]:
        """The database under its alias while the block lasts; after an error the whole connection is thrown away."""
        self._attach(connection, *options)
        yield
        self._detach(connection)

    def _attach(self, connection: duckdb.DuckDBPyConnection, *options: Sql) -> None:
        how = join([Sql("TYPE sqlite"), _BRIEFLY, *options])
        connection.execute(f"ATTACH {literal(str(self.path))} AS {ATTACHED} ({how})")

    def _detach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"DETACH {ATTACHED}")

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            opening, self._opening = self._opening, None
            self._connection = opening.result() if opening else opened()
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            if self._prepared:
                # Nobody may close a connection under the thread that uses it.
                self._connection.interrupt()
                wait([self._prepared])
            self._connection.close()
        self._connection = self._prepared = None

    def _retried(self, work: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        def say() -> None:
            log.warning("the result database %s is locked by another process, trying again", self.path)

        # What was read ahead may be overtaken, which looks like a lock and is none.
        overtaken = self._prepared is not None
        try:
            patiently(lambda: self._attempted(work), LockedError, 0 if overtaken else self.lock_timeout, 0.5, say)
        except _UnreadSchemaError:
            self._lenient = True
            self._retried(work)
        except LockedError as error:
            if overtaken:
                self._retried(work)
                return
            raise SinkError(
                f"the result database {self.path} stayed locked for {self.lock_timeout:g} s: "
                "end the process that holds it, or give a longer --lock-timeout"
            ) from error

    def _attempted(self, work: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        """Work with the connection, which is thrown away where that fails. DuckDB's errors become SinkErrors."""
        try:
            work(self._connected())
        except Exception as error:
            self._close()
            if isinstance(error, duckdb.Error):
                raise self._explained(error) from error
            raise

    def _explained(self, error: duckdb.Error) -> SinkError:
        """What an error of the extension means; its class tells nothing, only its text does."""
        if found := shortage(error):
            return found
        text = one_line(error)
        for sign in ("database is locked", "database table is locked", "database schema is locked"):
            if sign in text:
                return LockedError(f"the result database {self.path} is locked by another process: run again")
        if "malformed database schema" in text and not self._lenient:
            return _UnreadSchemaError(f"the schema of {self.path} cannot be read: {text}")
        for sign, meaning in (
            (
                "file is not a database",
                "is not an SQLite database: give another file with --sqlite, or move this one away",
            ),
            (
                "malformed database schema",
                "has a view, a trigger or an index that DuckDB's SQLite cannot read: remove it, or give another file",
            ),
            ("disk image is malformed", "is damaged: restore it, or move it away and run again"),
            (
                "Invalid unicode",
                "has a key (交易对, 周期, 数据时间) that is no text in UTF-8: delete that row, or give another file",
            ),
            ("disk is full", "cannot be written, the disk is full: free some space and run again"),
            ("readonly database", "is read-only: make it and its folder writable"),
            ("unable to open database", "cannot be opened: check that its folder exists and is writable"),
            ("disk I/O error", "cannot be written (disk I/O error): check the disk, its space and its limits"),
        ):
            if sign in text:
                return SinkError(f"the result database {self.path} {meaning}")
        return SinkError(f"the result database {self.path} cannot be written: {text}")


def wal_mb(path: Path) -> int:
    """Size of a database's write-ahead log in MB, rounded down."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size // _MB
    except FileNotFoundError:
        return 0


def wal_advice(path: Path, size: int) -> str:
    """What to do about a write-ahead log of some MB."""
    return (
        f"the write-ahead log {path}-wal has {size} MB and cannot shrink while a reader keeps a transaction open: "
        "let readers end their transactions, or end those that do not"
    )


def _refuse_foreign(path: Path, tables: Mapping[str, ResultTable]) -> None:
    for name, table in tables.items():
        if why := table.refusal():
            raise SinkError(
                f"the table {name} in {path} belongs to something else ({why}): give another file with --sqlite"
            )


def _probe_folder(path: Path) -> None:
    """Raise SinkError unless the file, or a first one in its folder, can be written; creates nothing."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    writable = os.access(path, os.W_OK) if path.exists() else True
    if read_only or not writable or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(
            f"the result database {path} cannot be written: make it and its folder writable, or use another --sqlite"
        )
