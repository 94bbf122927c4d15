"""PostgreSQL, read in bulk: one statement for the catalogue, one per interval for candles, one for metrics.

``Source.connect`` is the preflight: it answers within seconds what ConnectorX would keep silent about for half a minute
(an unreachable server, a wrong password), and learns in one statement which relations there are. All bars and metrics
then come through ConnectorX as Arrow. Sessions are read-only, in UTC, and every statement has a time limit.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ...indicators.contract import BAR_FIELDS
from ...indicators.registry import INDICATORS
from ..base.errors import SourceError, UsageError
from ..base.intervals import INTERVALS, Interval, before
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..record import SILENT, Observer
from .clauses import Relation, chosen, late_rows, moment, plain_moment, values_of
from .packed import packed, unpacked
from .urls import connectorx_url, redacted, redacted_line, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

log = logging.getLogger(__name__)

SCHEMA = "market_data"
METRICS_5M = "binance_futures_metrics_5m"
#: Newest metrics rows of a symbol that some indicator looks at.
METRICS_ROWS = max(declared.bars_read() for declared in INDICATORS.values() if declared.source == "metrics")
METRICS_WINDOW = timedelta(days=30)
CONNECT_SECONDS = 4
STATEMENT_SECONDS = 60
#: How long a table that somebody has locked is waited for.
LOCK_SECONDS = 10
_SESSION = (
    "-c default_transaction_read_only=on -c timezone=UTC -c standard_conforming_strings=on "
    # Doubles keep all their digits as text. One process serves a statement: its other processors have other work, and
    # beside a run on the same machine helpers cost more than they bring.
    "-c extra_float_digits=1 -c max_parallel_workers_per_gather=0 "
    f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c lock_timeout={LOCK_SECONDS * 1000}"
)
#: Fields of the metrics and what the source calls them. Its names tell of sums, but they are plain ratios.
METRIC_COLUMNS = {
    "open_interest": "sum_open_interest",
    "open_interest_value": "sum_open_interest_value",
    "top_trader_account_ratio": "count_toptrader_long_short_ratio",
    "top_trader_position_ratio": "sum_toptrader_long_short_ratio",
    "global_account_ratio": "count_long_short_ratio",
    "taker_volume_ratio": "sum_taker_long_short_vol_ratio",
}
_REQUIRED_BAR_COLUMNS = {"exchange", "symbol", "bucket_ts", "open", "high", "low", "close", "volume"}


@dataclass(frozen=True)
class Newer:
    """What to read where most is known: rows later than ``since``, of late symbols later than a moment of their own."""

    since: datetime
    late: Mapping[str, datetime]

    @property
    def earliest(self) -> datetime:
        """Before which nothing is read."""
        return min(self.since, *self.late.values()) if self.late else self.since


@dataclass(frozen=True)
class MetricsForm:
    """How the source keeps the metrics of an interval; ``build``: as 5m rows, to be put in buckets here."""

    relation: Relation
    time: str
    closed: str
    build: bool = False


class Source:
    """An open door to one PostgreSQL database. Make one with ``Source.connect``."""

    def __init__(
        self, dsn: str, secrets: tuple[str, ...], relations: Mapping[str, Relation], observer: Observer = SILENT
    ) -> None:
        self._dsn = dsn
        self._secrets = secrets
        self.relations = relations
        self._observer = observer
        #: Statements run side by side, and the observer hears of one after the other.
        self._counting = Lock()

    @classmethod
    def connect(cls, url: str, observer: Observer = SILENT) -> Source:
        """Check that the server answers and lets us in, and read its catalogue.

        Raises:
            UsageError: the URL is not one of PostgreSQL.
            SourceError: the server cannot be reached, refuses us, or has no candles.
        """
        if urlsplit(url).scheme not in ("postgresql", "postgres"):
            raise UsageError("the source is not a PostgreSQL URL: give postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
        place = redacted(url)
        try:
            given = conninfo_to_dict(url)
        except psycopg.Error as error:
            raise UsageError(
                f"the source URL {place} cannot be read: percent-encode special characters in user and password"
            ) from error
        options = f"{given.get('options') or ''} {_SESSION}".strip()
        secrets = tuple(str(s) for s in (given.get("password"), os.environ.get("PGPASSWORD")) if s)
        try:
            with psycopg.connect(
                url,
                connect_timeout=CONNECT_SECONDS,
                options=options,
                application_name="candlemill",
                autocommit=True,
            ) as door:
                observer.sent()
                rows = door.execute(statement("source/catalogue").encode()).fetchall()
                dsn = connectorx_url(door.info, given, options)
        except psycopg.OperationalError as error:
            message = redacted_line(str(error), secrets)
            raise SourceError(
                f"cannot connect to the source {place}: {message}; check the URL, and that the server runs"
            ) from error
        except psycopg.Error as error:
            raise SourceError(f"the source {place} did not answer: {redacted_line(str(error), secrets)}") from error
        relations = {
            name: Relation(name, stored, readable, frozenset(columns), frozenset(exact))
            for name, stored, readable, columns, exact in rows
        }
        if not any(name.removeprefix("candles_") in INTERVALS for name in relations):
            raise SourceError(
                f"the source {place} has no candle tables in the schema {SCHEMA}: "
                "check the database name, or create them with `candlemill init-db`"
            )
        return cls(dsn, secrets, relations, observer)

    def candles(
        self,
        interval: Interval,
        exchange: str,
        symbols: Sequence[str] | None,
        as_of: datetime,
        lookback: int,
        closed_only: bool = False,
    ) -> pa.Table:
        """Bars of an interval that can be among the newest ``lookback``: symbol, bucket_ts and the fields of a bar.

        One statement. An interval without a table is built from 1m bars. Raises SourceError.
        """
        after = before(as_of, interval.length, 2 * lookback)
        until = before(as_of, interval.length, 1) if closed_only else as_of
        relation, build = self._candle_relation(interval)
        query = render(
            statement("source/candles"),
            values=values_of(relation, dict.fromkeys(BAR_FIELDS), exact=not build),
            relation=identifier(relation.name),
            exchange=literal(exchange),
            after=moment(after),
            near=moment(after if build else before(until, interval.length, lookback)),
            until=moment(as_of if build else until),
            chosen=chosen(symbols),
            lookback=literal(lookback),
        )
        if build:
            log.warning("%s: no table %s.%s, built from candles_1m", interval.name, SCHEMA, interval.candles)
        return self._bars(query, interval, relation, build, after, until)

    def newer_candles(
        self,
        interval: Interval,
        exchange: str,
        symbols: Sequence[str] | None,
        as_of: datetime,
        newer: Newer,
        closed_only: bool = False,
    ) -> pa.Table:
        """Bars of an interval that are newer than those known, in the form of ``candles``.

        Where they are built from 1m bars, earlier ones than asked for may be among them, with a part of their minutes.
        One statement. Raises SourceError.
        """
        until = before(as_of, interval.length, 1) if closed_only else as_of
        relation, build = self._candle_relation(interval)
        query = render(
            statement("source/newer_candles"),
            values=values_of(relation, dict.fromkeys(BAR_FIELDS), table="bars", exact=not build),
            relation=identifier(relation.name),
            exchange=literal(exchange),
            since=moment(newer.since),
            until=moment(as_of if build else until),
            chosen=chosen(symbols),
            late=late_rows(newer.late),
        )
        return self._bars(query, interval, relation, build, newer.earliest, until)

    def _bars(
        self, query: Sql, interval: Interval, relation: Relation, build: bool, after: datetime, until: datetime
    ) -> pa.Table:
        if not build:
            return self._read_packed(query, relation.name, list(BAR_FIELDS))
        from .buckets import build_bars

        bars = build_bars(self._stream(query, relation.name), interval, after, until)
        self._count(bars, bars)
        return bars

    def metrics(self, interval: Interval, as_of: datetime, newer: Newer | None = None) -> pa.Table | None:
        """The newest metrics of every symbol at an interval, at most METRICS_ROWS each; None where the source has none.

        With ``newer`` only those; where they are built from 5m rows, see ``newer_candles``. One statement. Raises
        SourceError.
        """
        form = self.metrics_form(interval)
        if form is None:
            return None
        self._require_readable(form.relation)
        after = newer.since if newer else before(as_of, METRICS_WINDOW, 1)
        factor = max(1, interval.length // timedelta(minutes=5)) if form.build else 1
        window = {
            "relation": identifier(form.relation.name),
            "time": identifier(form.time),
            "after": plain_moment(after),
            "until": plain_moment(as_of),
        }
        if form.relation.stored:
            symbols = render(statement("source/metrics_symbols_stored"), relation=window["relation"])
        else:
            symbols = render(statement("source/metrics_symbols_view"), **window)
        late = {"late": late_rows(newer.late, plain_moment)} if newer else {}
        query = render(
            statement("source/newer_metrics" if newer else "source/metrics"),
            **window,
            **late,
            symbols=symbols,
            values=values_of(form.relation, METRIC_COLUMNS, table="newest"),
            closed=identifier(form.closed),
            rows=literal(METRICS_ROWS * factor),
        )
        if not newer:
            log.info(
                "%s: metrics from %s%s", interval.name, form.relation.name, ", last row of each bucket" * form.build
            )
        table = self._read_packed(query, form.relation.name, [*METRIC_COLUMNS, "is_closed"])
        if form.build:
            from .buckets import build_metrics

            table = build_metrics(table, interval, newer.earliest if newer else after)
        return table

    def auto_symbols(self, exchange: str, as_of: datetime, top: int) -> dict[str, list[str]]:
        """The symbols that the rules of ``auto`` choose, each with its rules. One statement. Raises SourceError."""
        now = moment(as_of)
        bars = "5m" if self._readable("candles_5m") else "1m"
        metrics = (
            render(statement("source/auto_metrics"), as_of=now)
            if self._readable(METRICS_5M)
            else statement("source/auto_metrics_none")
        )
        query = render(
            statement("source/auto_symbols"),
            bars=render(statement(f"source/auto_bars_{bars}"), exchange=literal(exchange), as_of=now),
            metrics=metrics,
            as_of=now,
            top=literal(top),
        )
        found = self._read(query, f"candles_{bars}")
        return {
            symbol: rules.split(",")
            for symbol, rules in zip(found["symbol"].to_pylist(), found["rules"].to_pylist(), strict=True)
        }

    def symbols(self, exchange: str, intervals: Sequence[Interval], as_of: datetime, lookback: int) -> list[str]:
        """Every symbol with a candle in the window of one of the intervals. One statement. Raises SourceError."""
        windows = [
            render(
                statement("source/symbols"),
                relation=identifier(self._candle_relation(interval)[0].name),
                exchange=literal(exchange),
                after=moment(before(as_of, interval.length, 2 * lookback)),
                until=moment(as_of),
            )
            for interval in intervals
        ]
        found = self._read(join(windows, "\nUNION\n"), intervals[0].candles)
        return sorted(found["symbol"].to_pylist())

    def metrics_form(self, interval: Interval) -> MetricsForm | None:
        """Which of the three forms the source has for an interval's metrics; None: there are none, as for 1m."""
        five_minutes = timedelta(minutes=5)
        if interval.length < five_minutes or interval.length % five_minutes:
            return None
        forms = (
            [(METRICS_5M, "create_time", "is_closed", False)]
            if interval.name == "5m"
            else [
                (f"binance_futures_metrics_{interval.name}_last", "bucket", "complete", False),
                (f"metrics_{interval.name}", "create_time", "is_closed", False),
                (METRICS_5M, "create_time", "is_closed", True),
            ]
        )
        for name, time, closed, build in forms:
            relation = self.relations.get(name)
            if relation is not None and {time, closed} <= relation.columns:
                return MetricsForm(relation, time, closed, build)
        return None

    def redact(self, text: str) -> str:
        """The text without this source's password."""
        return without_secrets(text, self._secrets)

    def _readable(self, name: str) -> bool:
        return name in self.relations and self.relations[name].readable

    def _require_readable(self, relation: Relation) -> None:
        if not relation.readable:
            raise SourceError(
                f"the role may not read {SCHEMA}.{relation.name}: "
                f"GRANT USAGE ON SCHEMA {SCHEMA} and SELECT ON ALL TABLES IN SCHEMA {SCHEMA} to it"
            )

    def _candle_relation(self, interval: Interval) -> tuple[Relation, bool]:
        relation = self.relations.get(interval.candles)
        build = relation is None
        if relation is None:
            relation = self.relations.get("candles_1m")
        if relation is None:
            raise SourceError(
                f"the source has neither {SCHEMA}.{interval.candles} nor candles_1m to build it from: "
                "leave the interval out, or load candles"
            )
        self._require_readable(relation)
        missing = _REQUIRED_BAR_COLUMNS - relation.columns
        if missing:
            raise SourceError(f"{SCHEMA}.{relation.name} lacks the columns {', '.join(sorted(missing))}")
        return relation, build

    def _count(self, rows: pa.Table, received: pa.Table) -> None:
        with self._counting:
            self._observer.received(rows.num_rows, received.nbytes)

    def _read(self, query: Sql, relation: str) -> pa.Table:
        table = self._connectorx(query, relation, return_type="arrow")
        self._count(table, table)
        return table

    def _read_packed(self, query: Sql, relation: str, fields: Sequence[str]) -> pa.Table:
        received = self._connectorx(packed(query, fields), relation, return_type="arrow")
        rows = unpacked(received, fields)
        self._count(rows, received)
        return rows

    def _stream(self, query: Sql, relation: str) -> pa.RecordBatchReader:
        return self._connectorx(query, relation, return_type="arrow_stream", batch_size=65536)

    def _connectorx(self, query: Sql, relation: str, **how: Any) -> Any:
        import connectorx

        with self._counting:
            self._observer.sent()
        try:
            return connectorx.read_sql(self._dsn, query, protocol="binary", **how)
        except BaseException as error:
            # A Rust panic is a BaseException of its own; an interrupt must pass.
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            message = redacted_line(str(error), self._secrets)
            raise SourceError(
                f"reading {SCHEMA}.{relation} failed: {message}; try again, or see `candlemill doctor`"
            ) from None
