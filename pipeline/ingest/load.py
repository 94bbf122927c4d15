"""Archives into the tables of the schema market_data.

1. A schema without candles is created first (``init_db``).
2. The files of a symbol and an interval are loaded together. Those whose rows overlap are one transaction, every other
   file is one of its own (``_Loader``): good lines are copied into a staging table. Where files contradict each other,
   one line of each time is left there, by its values alone. The rest is taken over into the table of the interval.
   A file that breaks off leaves nothing behind, and does not stop the others. Before the first rows of a time change,
   what aggregates hold of it is looked at (``Refresher.compare``).
3. What depends on the loaded rows follows: coarser tables (``derive``), and aggregates (``Refresher.refresh``).
4. The gaps that are left are looked for, series by series (``_gaps``).

A call knows nothing of the ones before it: what it loads corrects what they have loaded.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from ..base.errors import SourceError, one_line
from ..base.intervals import INTERVALS
from ..base.ranges import Range, union
from ..base.statements import Sql, identifier, render, statement
from ..source.aggregates import row_step, utc
from ..source.clauses import calling
from ..source.reader import METRICS_5M
from ..source.schema import init_db, plain_candles
from ..source.session import Session, session
from ..source.urls import redacted
from .archives import Archives, Content, Part, UnreadableError, UnsuitableError, content_of, shown
from .derive import derive
from .layouts import HeaderError, Reject, rows, times
from .refresh import Loaded, Refresher
from .report import Conflict, FileReport, Gap, Report, SeriesReport
from .stretches import Stretches, overlapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

log = logging.getLogger(__name__)

SOURCE = "binance_vision"

#: Errors that a file can be to blame for.
_REFUSALS = (errors.DataError, errors.IntegrityError, errors.ProgrammingError)


def ingest(url: str, files: Sequence[Path], exchange: str, progress: Callable[[str], None] = lambda _: None) -> Report:
    """Load archives into a database, as candles and metrics of an exchange.

    Args:
        url: the database; its role may write to the schema market_data.
        files: what ``find`` found.
        exchange: as it stands in the tables.
        progress: told the path of each file before it is read.

    Returns:
        What was done. Files that could not be loaded are in it.

    Raises:
        UsageError: the URL cannot be read.
        SourceError: the database cannot be reached or written.
    """
    report = Report(exchange)
    with _connected(url) as connection:
        relations = _relations(connection)
        if not any(name.startswith("candles_") for name in relations):
            log.info("no candle tables in %s: creating the schema", redacted(url))
            setup = init_db(url)
            for remark in setup.remarks:
                log.warning("%s", remark)
            report.created = setup.created
            relations = _relations(connection)
        refresher = Refresher(connection, exchange)
        with Archives() as archives:
            loader = _Loader(connection, exchange, relations, report, refresher, archives, progress)
            for pieces in loader.plan(files):
                loader.load(pieces)
        report.group()
        log.info("loaded %d of %d files", len(report.of_state("loaded")), len(report.files))
        report.derived = derive(connection, exchange, relations, report.series)
        for table in sorted({series.table for series in report.series}):
            report.hidden += refresher.refresh(table, _loaded(report, table))
        for series in report.series:
            series.gaps = _gaps(connection, exchange, series)
    return report


class _Settled(NamedTuple):
    """A row of ``sql/ingest/*_settle.sql``; files by their numbers."""

    file: int
    taken: int
    first: datetime
    last: datetime
    rows: int


class _Written(NamedTuple):
    """A row of ``sql/ingest/*_upsert.sql``; the file by its number."""

    file: int
    inserted: int
    updated: int


@dataclass
class _Piece:
    """A part that is to be loaded, and what becomes of it."""

    part: Part
    content: Content
    table: str
    report: FileReport


class _Loader:
    """Loads files over one connection, and reports on each."""

    def __init__(
        self,
        connection: Session,
        exchange: str,
        relations: dict[str, bool],
        report: Report,
        refresher: Refresher,
        archives: Archives,
        progress: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._relations = relations
        self._report = report
        self._refresher = refresher
        self._archives = archives
        self._progress = progress
        self._begun: set[Path] = set()
        # Looked at before anything is loaded, so that the order of the files does not matter.
        self._has_minutes = "candles_1m" in relations and connection.execute(
            "SELECT EXISTS (SELECT FROM market_data.candles_1m)"
        ).fetchone() == (True,)

    def plan(self, files: Sequence[Path]) -> list[list[_Piece]]:
        """What is to be loaded, by symbol and table. What is not is reported."""
        series: dict[tuple[str, str], list[_Piece]] = defaultdict(list)
        for path in files:
            try:
                parts = self._archives.parts(path)
            except (UnreadableError, UnsuitableError) as error:
                self._report.files.append(FileReport(shown(path), "failed", str(error)))
                continue
            for part in parts:
                try:
                    content = content_of(part, self._exchange)
                    table = self._table(content)
                except UnsuitableError as error:
                    self._report.files.append(FileReport(part.label, "skipped", str(error)))
                    continue
                file = FileReport(part.label, "loaded", symbol=content.symbol, what=content.what, table=table)
                self._report.files.append(file)
                series[content.symbol, table].append(_Piece(part, content, table, file))
        return list(series.values())

    def load(self, pieces: Sequence[_Piece]) -> None:
        """Load files of a symbol, whatever is wrong with them. Raises psycopg.Error where the database is to blame."""
        if len(pieces) == 1:
            self._load(pieces)
            return
        readable = [(piece, ranges) for piece in pieces if (ranges := self._looked_through(piece)) is not None]
        for group in overlapping([ranges for _, ranges in readable]):
            self._load([readable[number][0] for number in group])

    def _looked_through(self, piece: _Piece) -> list[Range] | None:
        """When a file has rows; None where it cannot be read, which is reported."""
        found = Stretches(row_step(piece.table))
        try:
            with self._text(piece) as text:
                for moment in times(text, piece.content):
                    found.add(moment)
        except (UnreadableError, HeaderError) as error:
            piece.report.fail(str(error))
            return None
        return found.ranges

    def _load(self, pieces: Sequence[_Piece]) -> None:
        """Load files in one transaction; those that cannot be loaded are reported, and the others are."""
        try:
            with self._connection.transaction():
                conflicts = self._write(pieces)
        except errors.InsufficientPrivilege:
            raise
        except _REFUSALS as error:
            refused = [(piece, reason) for piece in pieces if (reason := self._refusal(piece))] if pieces[1:] else []
            for piece, reason in refused or [(piece, _refusing(piece, error)) for piece in pieces]:
                piece.report.fail(reason)
            if refused:
                self._load([piece for piece in pieces if piece not in [one for one, _ in refused]])
        else:
            self._report.conflicts += conflicts

    def _refusal(self, piece: _Piece) -> str | None:
        """Why a file is refused by itself, of which nothing stays either way."""
        try:
            with self._connection.transaction(force_rollback=True):
                self._write([piece])
        except _REFUSALS as error:
            return _refusing(piece, error)
        return None

    def _write(self, pieces: Sequence[_Piece]) -> list[Conflict]:
        """Write what can be read of some files. Returns what they contradict each other about."""
        content, table = pieces[0].content, pieces[0].table
        kind = "metrics" if content.metrics else "candles"
        self._connection.execute(statement(f"ingest/{kind}_staging").encode())
        copied = [piece for number, piece in enumerate(pieces) if self._copy(piece, kind, number)]
        conflicts = self._settle(pieces, kind) if len(copied) > 1 else []
        ranges = union(one for piece in copied for one in piece.report.stretches.ranges)
        with self._connection.transaction() as attempt:
            changed = self._take_over(pieces, kind, ranges)
            unseen = [held for one in ranges for held in self._refresher.unseen(table, one)] if changed else []
            if unseen:
                raise psycopg.Rollback(attempt)
        if unseen:
            self._refresher.compare(unseen)
            self._take_over(pieces, kind, ranges)
        return conflicts

    def _copy(self, piece: _Piece, kind: str, number: int) -> bool:
        """Copy the good lines of a file into the staging table. Returns whether there are any."""
        report = piece.report
        report.begin()
        copying = f"COPY incoming_{kind} FROM STDIN".encode()
        try:
            with (
                self._connection.transaction(),
                self._connection.waiting(self._connection.patience),
                self._text(piece) as text,
                self._connection.cursor().copy(copying) as copy,
            ):
                for row in rows(text, piece.content):
                    if isinstance(row, Reject):
                        report.reject(row)
                    else:
                        report.see(row.moment)
                        late = (row.late,) if piece.content.metrics else ()
                        copy.write_row((number, row.line, row.moment, *late, *row.values))
        except (UnreadableError, HeaderError) as error:
            report.fail(str(error))
        except errors.DataError as error:
            report.fail(_refusing(piece, error))
        else:
            if not report.rows:
                report.state, report.reason = "failed", "it has no good line"
        return report.rows > 0

    def _settle(self, pieces: Sequence[_Piece], kind: str) -> list[Conflict]:
        """Leave one line of each time. Returns what of others is dropped that says something else."""
        settle = statement(f"ingest/{kind}_settle").encode()
        conflicts = []
        with self._connection.cursor(row_factory=class_row(_Settled)) as cursor:
            for one in cursor.execute(settle):
                piece, report = pieces[one.file], pieces[one.file].report
                report.overruled += one.rows
                taken = pieces[one.taken].report.file
                span = utc(one.first), utc(one.last)
                conflicts.append(
                    Conflict(piece.content.symbol, piece.content.what, report.file, taken, *span, one.rows)
                )
        return conflicts

    def _take_over(self, pieces: Sequence[_Piece], kind: str, ranges: Sequence[Range]) -> bool:
        """Take the staged rows of some ranges over. Returns whether that changed anything."""
        content, table = pieces[0].content, pieces[0].table
        query = render(statement(f"ingest/{kind}_upsert"), relation=identifier(table)).encode()
        for piece in pieces:
            piece.report.inserted = piece.report.updated = 0
        for one in ranges:
            parameters = {
                "exchange": self._exchange,
                "symbol": content.symbol,
                "bucket": content.interval.bucket,
                "first": one.start,
                "last": one.until - row_step(table),
                "source": SOURCE,
            }
            with self._connection.cursor(row_factory=class_row(_Written)) as cursor:
                for written in cursor.execute(query, parameters):
                    report = pieces[written.file].report
                    report.inserted += written.inserted
                    report.updated += written.updated
        return any(piece.report.inserted or piece.report.updated for piece in pieces)

    def _text(self, piece: _Piece) -> AbstractContextManager[IO[str]]:
        if piece.part.path not in self._begun:
            self._begun.add(piece.part.path)
            self._progress(shown(piece.part.path))
        return self._archives.text(piece.part)

    def _table(self, content: Content) -> str:
        """The table for a content; one that is missing is made where nothing else would stand in for it."""
        name = METRICS_5M if content.metrics else content.interval.candles
        if name not in self._relations:
            if self._has_minutes and not content.metrics:
                raise UnsuitableError(
                    f"there is no {name} here, and every run builds {content.interval.name} from candles_1m: "
                    "load the 1m archives"
                )
            made = [(name, statement("schema/metrics"))] if content.metrics else plain_candles(content.interval.name)
            for _, query in made:
                self._connection.execute(query.encode())
            log.info("created market_data.%s", name)
            self._report.created.append(name)
            self._relations[name] = True
        if not self._relations[name]:
            raise UnsuitableError(f"{name} is a view here, made from candles_1m: load the 1m archives")
        return name


def _refusing(piece: _Piece, error: psycopg.Error) -> str:
    return f"{piece.table} does not take it: {one_line(error)}"


def _loaded(report: Report, table: str) -> list[Loaded]:
    """What was loaded into a table, stretch by stretch of each file."""
    return [
        Loaded(series.symbol, stretch, bool(file.inserted or file.updated))
        for series in report.series
        if series.table == table
        for file in series.files
        for stretch in file.stretches.ranges
    ]


@contextmanager
def _connected(url: str) -> Iterator[Session]:
    try:
        with session(url, writes=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise SourceError(
            f"loading into {redacted(url)} failed: {one_line(error)}; check the URL, that the server runs, "
            "and that the role may write to the schema market_data; what was loaded stays, and loading again goes on"
        ) from error


def _relations(connection: Session) -> dict[str, bool]:
    """Candle and metrics relations by name; True for a table, False for a view.

    Raises SourceError where using one, as loading and refreshing do, would call a function of somebody else.
    """
    found = connection.execute(statement("source/catalogue").encode()).fetchall()
    for name, *_, called in found:
        if called is not None:
            raise SourceError(calling(f"market_data.{name}", str(called)))
    return {str(name): bool(stored) for name, stored, *_ in found}


def _gaps(connection: Session, exchange: str, series: SeriesReport) -> list[Gap]:
    metrics = series.table == METRICS_5M
    query = render(
        statement("ingest/gaps"),
        relation=identifier(series.table),
        time=Sql("create_time AT TIME ZONE 'UTC'" if metrics else "bucket_ts"),
        # Metrics are unique by symbol and time alone.
        of_exchange=Sql("TRUE" if metrics else "exchange = %(exchange)s"),
    )
    parameters = {
        "symbol": series.symbol,
        "exchange": exchange,
        "bucket": INTERVALS["5m" if metrics else series.what].bucket,
        "first": series.first,
        "last": series.last,
    }
    with connection.cursor(row_factory=psycopg.rows.class_row(Gap)) as cursor:
        return cursor.execute(query.encode(), parameters).fetchall()
