"""The DuckDB work file: where SQL indicators are computed, and what analysts read afterwards.

A run works on a file of its own in a temporary folder beside the public one, and puts it in the public one's place by a
rename at its very end. An analyst who has the public file open keeps what he opened; whoever opens it later sees the
new run; a run that fails leaves nothing.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import shutil
import stat
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from ...indicators.registry import INDICATORS
from ..base import folders
from ..base.duck import AS_WRITTEN, LAST_COMMIT, open_duckdb
from ..base.errors import CandlemillError, SinkError, one_line
from ..base.folders import temporary_folder
from ..base.intervals import INTERVALS
from ..base.marker import DESK, Marker
from ..base.patience import patiently
from ..base.shortage import shortage
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..base.threads import in_thread, step_back
from ..compute.sql import SqlIndicators
from .previous import Previous, check_regular, foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ...indicators.contract import Indicator
    from ..compute.pivot import Pivot
    from ..record import Record
    from .provenance import Provenance

log = logging.getLogger(__name__)

_CATALOG = pa.schema(
    [
        *((name, pa.string()) for name in ("indicator", "title", "family", "mode")),
        *((name, pa.int64()) for name in ("min_bars", "position")),
        *((name, pa.string()) for name in ("column_name", "sqlite_table", "sqlite_column", "sqlite_type")),
        *((name, pa.string()) for name in ("unit", "rounding", "meaning")),
        ("words", pa.map_(pa.string(), pa.string())),
        ("formula", pa.string()),
    ]
)

#: What a client shows of the tables and views that are no indicators.
_TABLES = {
    "futures_metrics": "the futures metrics that the run saw, the newest rows of each symbol and interval",
    "runs": "the record of every run so far",
    "catalog": "what every column of the indicators is called and means, and its words in English",
}
#: Columns that every table of an indicator has.
_KEYS = {
    "symbol": "traded pair, such as BTCUSDT",
    "interval": "length of the bar, such as 1h",
    "bucket_ts": "start of the bar",
    "run_id": "id of the run that computed the row",
}
_VIEWS = {
    "latest_signals": "what the indicators say of the newest bar of each series, in words and in English",
    "overview": "the figures of the newest bar of each series, the moment of the run, and how long ago that is",
    "bars_and_metrics": "every bar with the futures metrics of the same time",
}

#: Name of a run's folder: 32 digits of its own, and what ``mkdtemp`` and the removal add. Nobody calls a folder so by
#: chance, and as the name is there from the first moment, a folder is known as a run's whenever that was killed.
_PREFIX = ".candlemill-"
_FOLDER = re.compile(r"\.candlemill-[0-9a-f]{32}-\w{8}-?")
#: Seconds to wait for another run that begins or publishes in the same folder.
_PATIENCE = 30.0
#: Runs that the history has at most: a day of passes, at one every ten seconds.
RUNS_KEPT = 10_000


class WorkFile(SqlIndicators):
    """The work file of one run; a context manager that removes everything unpublished."""

    def __init__(self, path: Path, workers: int, exchange: str, marker: Marker = DESK) -> None:
        """What is to become a work file.

        Args:
            path: where it is to stand in the end.
            workers: threads of the whole run.
            exchange: exchange of all bars.
            marker: what results are to be written.
        """
        # The file itself: a link to it stays a link.
        self.path = path.resolve()
        # One of the workers is the computation in NumPy, which goes on at the same time.
        self._threads = max(1, workers - 1)
        self._exchange = exchange
        self._marker = marker
        self._symbols: set[str] = set()
        self._intervals: list[str] = []
        self._indicators: set[str] = set()

    def __enter__(self) -> WorkFile:
        """Begin it.

        Raises:
            SinkError: it cannot be written, or something else stands in its place.
            UsageError: a work file of another kind stands there.
        """
        path = self.path
        check_regular(path)
        with ExitStack() as opened:
            try:
                folders.make(path.parent)
                self._folder = opened.enter_context(_own_folder(path.parent))
            except OSError as error:
                why = f"({error.strerror}): make its folder writable, or use --duckdb"
                raise SinkError(f"the work file {path} cannot be written {why}") from error
            self._draft = self._folder / "work.duckdb"
            try:
                connection = open_duckdb(self._draft, self._threads, self._folder / "spill")
                self._connection = opened.enter_context(closing(connection))
                self._seen_previous()
            except (duckdb.Error, OSError) as error:
                raise self._unwritable(error) from error
            # On a connection of its own, because a failing SQL indicator aborts the transaction it runs in.
            self._writer = self._connection.cursor()
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="workfile", initializer=step_back)
            self._done = [self._thread.submit(self._lay_out)]
            self._settling: Future[None] | None = None
            self._opened = opened.pop_all()
        return self

    def _lay_out(self) -> None:
        """Make the tables, in one transaction, and begin another for all rows of the run.

        In one transaction DuckDB writes them straight into the file, many rows before it ends.
        """
        intervals = join([literal(name) for name in sorted(INTERVALS)])
        statements = [
            AS_WRITTEN,
            Sql("BEGIN"),
            render(statement("workfile/candles"), exchange=literal(self._exchange), intervals=intervals),
            render(statement("workfile/futures_metrics"), intervals=intervals),
            *(statement(f"workfile/{table}") for table in ("runs", "catalog")),
            *map(_create, INDICATORS.values()),
            *(statement(f"views/{view}") for view in _VIEWS),
            *_comments(),
        ]
        # At once: each in a call of its own takes half as long again, and waits for Python's lock.
        self._writer.execute(join(statements, ";\n"))
        self._fill_catalog()
        self._writer.execute("COMMIT")
        self._writer.execute("BEGIN")

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        if self._settling:
            wait([self._settling])
        self._writer.close()
        self._opened.close()

    def _unwritable(self, error: Exception) -> SinkError:
        return shortage(error) or SinkError(
            f"the work file {self.path} cannot be written ({one_line(error)}): free some space"
        )

    def keep(self, interval: str, bars: Pivot, metrics: Pivot | None) -> None:
        """Keep the bars and metrics of an interval for analysts."""
        self._symbols.update(bars.panel.symbols)
        self._intervals.append(interval)
        constants = Sql(f'{literal(self._exchange)} AS exchange, {literal(interval)} AS "interval"')
        self._keep("candles", Sql(f"{constants}, kept.* EXCLUDE (series, interval, n, rn)"), bars.ranked)
        if metrics is not None:
            columns = Sql(f'{literal(interval)} AS "interval", kept.* EXCLUDE (series, interval, n, rn)')
            self._keep("futures_metrics", columns, metrics.ranked)

    def store(self, declared: Indicator, rows: pa.Table) -> None:
        """Keep the finished rows of an indicator, at full precision."""
        if rows.num_rows:
            self._indicators.add(declared.id)
            self._keep(declared.id, Sql("*"), rows)

    def settle(self) -> Future[None]:
        """Begin to bring everything to disk; the result is there when it is done, and raises where it cannot be."""

        def finish() -> None:
            try:
                for part in self._done:
                    part.result()
                self._connection.execute(LAST_COMMIT)
                self._writer.execute("COMMIT")
                self._writer.close()
                self._connection.execute("CHECKPOINT")
            except (duckdb.Error, OSError) as error:
                raise self._unwritable(error) from error

        # In a thread that does not step back, as the run has nothing left to do but the insertion into SQLite.
        self._settling = in_thread(finish, "settling", awaited=True)
        return self._settling

    def _keep(self, table: str, columns: Sql, rows: pa.Table) -> None:
        """Insert rows into a table of the draft, behind the back of the computation; ``settle`` waits for it."""

        def insert() -> None:
            # As a stream: DuckDB imports PyArrow's datasets to scan a table, and takes longer to plan it.
            self._writer.register("kept", rows.__arrow_c_stream__())
            self._writer.execute(f"INSERT INTO {identifier(table)} BY NAME SELECT {columns} FROM kept")
            self._writer.unregister("kept")

        self._done.append(self._thread.submit(insert))

    def publish(self, records: Sequence[Record], provenance: Provenance) -> bool:
        """Add records of runs to those before them and what the bars are, and put the file in the public one's place.

        The results are committed by now. Where this fails, the newest record says so, and the public file stays as it
        was. What the file loses that was there is told. Returns whether it went well.
        """
        try:
            lost = self._publish(records, provenance)
        except (CandlemillError, duckdb.Error, OSError, MemoryError) as error:
            log.error("the results are written, but the work file %s is not: %s", self.path, one_line(error))
            records[-1].fail("", "", "", f"the work file was not written: {one_line(error)}")
            return False
        if lost:
            log.warning(
                "the work file %s holds less than before, as this run was narrower: it has lost %s; "
                "give a narrower run a file of its own, such as --duckdb %s",
                *(self.path, ", ".join(lost), self.path.with_name(f"narrow-{self.path.name}")),
            )
        return True

    def _publish(self, records: Sequence[Record], provenance: Provenance) -> list[str]:
        """Publish, and return what the file has lost with it."""
        provenance = replace(
            provenance,
            symbols=tuple(sorted(self._symbols)),
            intervals=tuple(self._intervals),
            indicators=tuple(name for name in INDICATORS if name in self._indicators),
        )
        # One at a time: a run that publishes between our reading of the history and our rename would be forgotten.
        with _alone_in(self.path.parent):
            # Looked at again: it may be another file than at the beginning.
            previous = self._seen_previous()
            if previous:
                previous.check_changes(self.path)
                self._keep_runs(RUNS_KEPT - len(records))
            for record in records:
                self._add_run(record.as_json())
            self._connection.execute(f"COMMENT ON TABLE candles IS {literal(provenance.as_text())}")
            self._connection.close()
            self._draft.replace(self.path)
        return previous.lost(provenance) if previous else []

    def _add_run(self, plain: Mapping[str, Any]) -> None:
        names = join([identifier(name) for name in plain])
        places = join([Sql(f"${name}") for name in plain])
        self._connection.execute(f"INSERT INTO runs ({names}) VALUES ({places})", plain)

    def _fill_catalog(self) -> None:
        # As one Arrow table: DuckDB's executemany took 0.3 s for these rows.
        rows = [
            {
                "indicator": declared.id,
                "title": declared.title,
                "family": declared.family,
                "mode": declared.mode,
                "min_bars": declared.stored.bars_needed(""),
                "position": position,
                "column_name": column.name,
                "sqlite_table": declared.table,
                "sqlite_column": declared.label(column),
                "sqlite_type": column.kind.declared,
                "unit": column.unit,
                "rounding": str(declared.stored.rounding.get(column.name) or "") or None,
                "meaning": column.meaning,
                "words": list(declared.words(column).items()),
                "formula": declared.formula,
            }
            for declared in INDICATORS.values()
            for position, column in enumerate(declared.columns, 1)
        ]
        self._writer.register("entries", pa.Table.from_pylist(rows, schema=_CATALOG).__arrow_c_stream__())
        self._writer.execute("INSERT INTO catalog BY NAME SELECT * FROM entries")
        self._writer.unregister("entries")

    def _seen_previous(self) -> Previous | None:
        """What stands where this one shall; None: nothing. Raises SinkError or UsageError unless it may be replaced."""
        if not check_regular(self.path):
            return None
        try:
            with self._previous():
                found = Previous.read(self._connection)
        except duckdb.Error as error:
            raise foreign(self.path) from error
        found.check(self.path, self._marker)
        return found

    def _keep_runs(self, most: int) -> None:
        """Carry the newest runs over from the public file. What cannot be read any more is left behind, and said."""
        try:
            with self._previous():
                self._connection.execute(statement("workfile/keep_runs"), {"most": most})
        except (duckdb.Error, OSError) as error:
            log.warning("the history of runs in %s cannot be read and starts anew: %s", self.path, one_line(error))

    @contextmanager
    def _previous(self) -> Iterator[None]:
        """The public file under the name ``previous``, for reading."""
        place = self.path
        try:
            self._connection.execute(f"ATTACH {literal(str(place))} AS previous (READ_ONLY)")
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            # Somebody has it open for writing; a copy of the bytes can be read all the same.
            place = self._folder / "previous.duckdb"
            shutil.copyfile(self.path, place)
            self._connection.execute(f"ATTACH {literal(str(place))} AS previous (READ_ONLY)")
        try:
            yield
        finally:
            self._connection.execute("DETACH previous")


@contextmanager
def _own_folder(parent: Path) -> Iterator[Path]:
    """A temporary folder, claimed by a lock that ends with the process, however that ends.

    The folders of runs that were killed, which nobody claims any more, are removed.
    """
    with ExitStack() as own:
        with _alone_in(parent):
            for left in parent.glob(f"{_PREFIX}*"):
                with suppress(OSError):
                    if _is_of_a_run(left):
                        os.close(_claimed(left))
                        shutil.rmtree(left, ignore_errors=True)
            folder = own.enter_context(temporary_folder(f"{_PREFIX}{uuid4().hex}-", parent))
            own.callback(os.close, _claimed(folder))
        yield folder


def _is_of_a_run(folder: Path) -> bool:
    """Whether a run of this user made a folder. Raises OSError where that cannot be seen."""
    found = folder.lstat()
    own = found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700
    return own and stat.S_ISDIR(found.st_mode) and _FOLDER.fullmatch(folder.name) is not None


def _claimed(folder: Path) -> int:
    """A handle of the folder with its lock. Raises OSError where another process has it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs that begin or publish in a folder waiting; the lock ends with the block, or with the process.

    Raises TimeoutError where another run keeps it too long: it takes milliseconds, unless that run was stopped.
    """
    try:
        handle = patiently(lambda: _claimed(folder), BlockingIOError, _PATIENCE, 0.05)
    except BlockingIOError as error:
        why = f"for {_PATIENCE:g} s a run that is stopped or hangs has kept its folder: end that run"
        raise TimeoutError(errno.ETIMEDOUT, why) from error
    try:
        yield
    finally:
        os.close(handle)


def _comments() -> Iterator[Sql]:
    """Statements that say of tables and columns what they are, to any client; the bars' comment is their provenance."""
    for declared in INDICATORS.values():
        yield Sql(f"COMMENT ON TABLE {identifier(declared.id)} IS {literal(f'{declared.title}: {declared.formula}')}")
        meanings = _KEYS | {column.name: f"{column.meaning} ({column.unit})" for column in declared.columns}
        for name, text in meanings.items():
            place = join([identifier(declared.id), identifier(name)], ".")
            yield Sql(f"COMMENT ON COLUMN {place} IS {literal(text)}")
    yield statement("workfile/comments")
    for name, text in _TABLES.items():
        yield Sql(f"COMMENT ON TABLE {identifier(name)} IS {literal(text)}")
    for name, text in _VIEWS.items():
        yield Sql(f"COMMENT ON VIEW {identifier(name)} IS {literal(text)}")


def _create(declared: Indicator) -> Sql:
    keys = (
        '"symbol" VARCHAR NOT NULL, "interval" VARCHAR NOT NULL, '
        '"bucket_ts" TIMESTAMPTZ NOT NULL, "run_id" VARCHAR NOT NULL'
    )
    columns = join([Sql(f"{identifier(column.name)} {Sql(column.kind.work_file)}") for column in declared.columns])
    return Sql(f"CREATE TABLE {identifier(declared.id)} ({keys}, {columns})")
