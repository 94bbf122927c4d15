"""Archives into the tables of the schema market_data.

1. A schema without candles is created first (``init_db``).
2. Each file is one transaction: its good lines are copied into a staging table, and from there taken over into the
   table of its interval (``_load``). A file that breaks off leaves nothing behind, and does not stop the others. Before
   the first rows of a time change, what aggregates hold of it is looked at (``Refresher.compare``).
3. What depends on the loaded rows follows: coarser tables (``derive``), and aggregates (``Refresher.refresh``).
4. The gaps that are left are looked for, series by series (``_gaps``).
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import psycopg
from psycopg import errors

from ..base.errors import SourceError, one_line
from ..base.intervals import INTERVALS
from ..base.ranges import Range
from ..base.statements import Sql, identifier, render, statement
from ..source.aggregates import row_step
from ..source.clauses import calling
from ..source.reader import METRICS_5M
from ..source.schema import init_db, plain_candles
from ..source.session import session
from ..source.urls import redacted
from .archives import UNREADABLE, Content, Part, UnsuitableError, content_of, parts, shown
from .derive import derive
from .layouts import Reject, rows
from .refresh import Loaded, Refresher
from .report import FileReport, Gap, Report, SeriesReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

SOURCE = "binance_vision"

Door: TypeAlias = "psycopg.Connection[tuple[object, ...]]"


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
        loader = _Loader(connection, exchange, relations, report, refresher)
        for path in files:
            progress(shown(path))
            loader.load(path)
        report.group()
        log.info("loaded %d of %d files", len(report.of_state("loaded")), len(report.files))
        report.derived = derive(connection, exchange, relations, report.series)
        for table in sorted({series.table for series in report.series}):
            report.hidden += refresher.refresh(table, _loaded(report, table))
        for series in report.series:
            series.gaps = _gaps(connection, exchange, series)
    return report


class _Loader:
    """Loads file after file over one connection, and reports on each."""

    def __init__(
        self, connection: Door, exchange: str, relations: dict[str, bool], report: Report, refresher: Refresher
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._relations = relations
        self._report = report
        self._refresher = refresher
        # Looked at before anything is loaded, so that the order of the files does not matter.
        self._has_minutes = "candles_1m" in relations and connection.execute(
            "SELECT EXISTS (SELECT FROM market_data.candles_1m)"
        ).fetchone() == (True,)

    def load(self, path: Path) -> None:
        """Load one file, whatever is wrong with it. Raises psycopg.Error where the database is to blame."""
        try:
            for part in parts(path):
                self._report.files.append(self._part(part, path))
        except UnsuitableError as error:
            self._report.files.append(FileReport(shown(path), "failed", str(error)))
        except UNREADABLE as error:
            reason = f"it cannot be read: {one_line(error) or type(error).__name__}"
            self._report.files.append(FileReport(shown(path), "failed", reason))

    def _part(self, part: Part, path: Path) -> FileReport:
        try:
            content = content_of(part, path, self._exchange)
            table = self._table(content)
        except UnsuitableError as error:
            return FileReport(part.label, "skipped", str(error))
        report = FileReport(part.label, "loaded", symbol=content.symbol, what=content.what, table=table)
        try:
            with self._connection.transaction():
                self._copy(part, content, report)
                if report.rows:
                    report.inserted, report.updated = self._write(content, table, report)
        except (errors.DataError, errors.IntegrityError, errors.ProgrammingError) as error:
            if isinstance(error, errors.InsufficientPrivilege):
                raise
            return FileReport(part.label, "failed", f"{table} does not take it: {one_line(error)}")
        if not report.rows:
            report.state, report.reason = "failed", "it has no good line"
        return report

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

    def _copy(self, part: Part, content: Content, report: FileReport) -> None:
        staging = "incoming_metrics" if content.metrics else "incoming_candles"
        self._connection.execute(statement(f"ingest/{'metrics' if content.metrics else 'candles'}_staging").encode())
        with self._connection.cursor().copy(f"COPY {staging} FROM STDIN".encode()) as copy:
            for row in rows(part.text, content):
                if isinstance(row, Reject):
                    report.reject(row)
                else:
                    report.see(row.moment)
                    copy.write_row((row.line, row.moment, *row.values))

    def _write(self, content: Content, table: str, report: FileReport) -> tuple[int, int]:
        """Take the staged rows over. Returns how many were inserted and updated."""
        rows = _covered(report, table)
        with self._connection.transaction() as attempt:
            counts = self._take_over(content, table, report)
            unseen = self._refresher.unseen(table, rows) if any(counts) else []
            if unseen:
                raise psycopg.Rollback(attempt)
        if unseen:
            self._refresher.compare(unseen)
            counts = self._take_over(content, table, report)
        return counts

    def _take_over(self, content: Content, table: str, report: FileReport) -> tuple[int, int]:
        query = statement(f"ingest/{'metrics' if content.metrics else 'candles'}_upsert")
        parameters = {
            "exchange": self._exchange,
            "symbol": content.symbol,
            "bucket": content.interval.bucket,
            "first": report.first,
            "last": report.last,
            "source": SOURCE,
        }
        done = self._connection.execute(render(query, relation=identifier(table)).encode(), parameters).fetchall()
        [(inserted, updated)] = [(int(str(inserted)), int(str(updated))) for inserted, updated in done]
        return inserted, updated


def _covered(report: FileReport, table: str) -> Range:
    """The time that the rows of a file cover."""
    if report.first is None or report.last is None:
        raise ValueError(f"{report.file} has no rows")
    return Range(report.first, report.last + row_step(table))


def _loaded(report: Report, table: str) -> list[Loaded]:
    """What was loaded into a table, file by file."""
    return [
        Loaded(series.symbol, _covered(file, table), bool(file.inserted or file.updated))
        for series in report.series
        if series.table == table
        for file in series.files
    ]


@contextmanager
def _connected(url: str) -> Iterator[Door]:
    try:
        with session(url, writes=True) as connection:
            yield connection
    except psycopg.Error as error:
        raise SourceError(
            f"loading into {redacted(url)} failed: {one_line(error)}; check the URL, that the server runs, "
            "and that the role may write to the schema market_data; what was loaded stays, and loading again goes on"
        ) from error


def _relations(connection: Door) -> dict[str, bool]:
    """Candle and metrics relations by name; True for a table, False for a view.

    Raises SourceError where using one, as loading and refreshing do, would call a function of somebody else.
    """
    found = connection.execute(statement("source/catalogue").encode()).fetchall()
    for name, *_, called in found:
        if called is not None:
            raise SourceError(calling(f"market_data.{name}", str(called)))
    return {str(name): bool(stored) for name, stored, *_ in found}


def _gaps(connection: Door, exchange: str, series: SeriesReport) -> list[Gap]:
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
