"""PostgreSQL, read in bulk: one statement for the catalogue, one per interval for candles, one for metrics.

``Source.connect`` is the preflight: it answers within seconds what ConnectorX would keep silent about for half a minute
(an unreachable server, a wrong password), learns in one statement which relations there are, and which way bars and
metrics can come as Arrow (``bulk``). Every statement is bounded in time by constants, by which a server that keeps rows
in chunks leaves out the others before it begins.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from threading import Lock
from typing import TYPE_CHECKING

import psycopg

from ...indicators.fields import BAR_FIELDS, METRICS_ROWS
from ..base.errors import SourceError, one_line
from ..base.intervals import INTERVALS, Interval, before
from ..base.statements import Sql, identifier, join, literal, render, statement
from ..record import SILENT, Observer
from .bulk import Bulk, ReadError, bulk
from .clauses import Relation, calling, chosen, late_rows, left_out, moment, plain_moment, values_of
from .packed import lines, packed, packed_schema, unpacked
from .session import session
from .urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

log = logging.getLogger(__name__)

SCHEMA = "market_data"
METRICS_5M = "binance_futures_metrics_5m"
METRICS_WINDOW = timedelta(days=30)
#: What decides over a choice of symbols by ``auto``: bars of a day and the hour before it, metrics of a week.
_AUTO_BARS, _AUTO_METRICS = timedelta(hours=25), timedelta(days=7)
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

    def groups(self, length: timedelta) -> Iterator[dict[str, datetime]]:
        """The late symbols in a few groups, with bars of a length.

        No moment in a group is more than four times as far back as another, so that what is read for the sake of the
        earliest of a group is not much for the others, however many they are.
        """

        def distance(late: tuple[str, datetime]) -> int:
            return ((self.since - late[1]) // length).bit_length() // 2

        for _, group in groupby(sorted(self.late.items(), key=distance), key=distance):
            yield dict(group)


@dataclass(frozen=True)
class MetricsForm:
    """How the source keeps the metrics of an interval; ``build``: as 5m rows, to be put in buckets here."""

    relation: Relation
    time: str
    closed: str
    build: bool = False


class Source:
    """One PostgreSQL database, open for reading. Make one with ``Source.connect``."""

    def __init__(
        self,
        bulk: Bulk,
        role: str,
        relations: Mapping[str, Relation],
        observer: Observer = SILENT,
    ) -> None:
        self._bulk = bulk
        self._role = role
        self.relations = relations
        self._observer = observer
        #: Statements run side by side, and the observer hears of one after the other.
        self._counting = Lock()

    @classmethod
    def connect(cls, url: str, observer: Observer = SILENT) -> Source:
        """Check that the server answers and lets us in, and read its catalogue.

        Raises:
            UsageError: the URL cannot be read.
            SourceError: the server cannot be reached, refuses us, or has no candles.
        """
        place = redacted(url)
        try:
            with session(url, along=statement("source/catalogue")) as connection:
                observer.sent()
                rows = connection.sent_along
                role = connection.info.user
                way = bulk(connection, url)
        except psycopg.OperationalError as error:
            raise SourceError(
                f"cannot connect to the source {place}: {one_line(error)}; check the URL, and that the server runs"
            ) from error
        except psycopg.Error as error:
            raise SourceError(f"the source {place} did not answer: {one_line(error)}") from error
        relations = {
            name: Relation(name, stored, readable, frozenset(columns), frozenset(exact), *kind)
            for name, stored, readable, columns, exact, *kind in rows
        }
        if not any(name.removeprefix("candles_") in INTERVALS for name in relations):
            raise SourceError(
                f"the source {place} has no candle tables in the schema {SCHEMA}: "
                "check the database name, or create them with `candlemill init-db`"
            )
        return cls(way, role, relations, observer)

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

        One statement. An interval without a table is built from 1m bars, which come in parts. Raises SourceError.
        """
        after = interval.back(as_of, 2 * lookback)
        until = interval.back(as_of, 1) if closed_only else as_of
        relation, build = self._candle_relation(interval)
        if build:
            log.warning("%s: no table %s.%s, built from candles_1m", interval.name, SCHEMA, interval.candles)
            near = interval.back(until, lookback)
            return self._built(relation, interval, exchange, symbols, (after, near, until), as_of, lookback)
        forming = self.forming(interval)
        near = interval.back(until, lookback + forming)
        query = render(
            statement("source/candles"),
            lines=lines(BAR_FIELDS),
            newer=_bars(relation, exchange, near, until, chosen(symbols)),
            older=_bars(relation, exchange, after, near, chosen(symbols)),
            counted=Sql("*" if relation.once else "DISTINCT bucket_ts"),
            closed=moment(interval.back(until, forming)),
            lookback=literal(lookback),
        )
        if relation.materialized_only and not closed_only:
            log.warning(
                "%s: %s.%s is materialized_only and has no bar that is forming: see `candlemill doctor`",
                interval.name,
                SCHEMA,
                relation.name,
            )
        return self._unpacked(query, relation.name, BAR_FIELDS)

    def forming(self, interval: Interval) -> int:
        """How many of the newest bars ``candles`` leaves out where it counts whether a series has all that are wanted.

        A view may aggregate the bar that forms when it is asked for it: that bar is not asked for to be counted, and
        the one before all others is counted in its place. Raises SourceError.
        """
        relation, build = self._candle_relation(interval)
        return 0 if build or relation.stored else 1

    def _built(
        self,
        relation: Relation,
        interval: Interval,
        exchange: str,
        symbols: Sequence[str] | None,
        window: tuple[datetime, datetime, datetime],
        as_of: datetime,
        lookback: int,
    ) -> pa.Table:
        """The bars of a window, of 1m bars; before its middle moment only of series with fewer than ``lookback``."""
        from .buckets import build_bars, complete, without

        after, near, until = window
        pieces = self._pieces(relation, interval, exchange, chosen(symbols), near, as_of)
        bars = build_bars(pieces, interval, near, until)
        whole = complete(bars, lookback)
        if symbols is not None and whole.issuperset(symbols):
            return bars
        asked = join([chosen(symbols), left_out(whole)], " AND ")
        older = self._pieces(relation, interval, exchange, asked, after, near)
        return without(build_bars([*pieces, *older], interval, after, until), whole, near)

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
        One statement, but for those. Raises SourceError.
        """
        until = interval.back(as_of, 1) if closed_only else as_of
        relation, build = self._candle_relation(interval)
        if build:
            from .buckets import build_bars

            pieces = self._pieces(relation, interval, exchange, chosen(symbols), newer.since, as_of)
            for group in newer.groups(interval.length):
                late = chosen(list(group))
                pieces += self._pieces(relation, interval, exchange, late, min(group.values()), newer.since)
            return build_bars(pieces, interval, newer.earliest, until)
        queries = [_bars(relation, exchange, newer.since, until, chosen(symbols))]
        queries += [
            render(
                statement("source/late_candles"),
                values=values_of(relation, dict.fromkeys(BAR_FIELDS), table="bars"),
                relation=identifier(relation.name),
                exchange=literal(exchange),
                late=late_rows(group),
                earliest=moment(min(group.values())),
                until=moment(newer.since),
            )
            for group in newer.groups(interval.length)
        ]
        return self._read_packed(join(queries, "\nUNION ALL\n"), relation.name, BAR_FIELDS)

    def _pieces(
        self, relation: Relation, interval: Interval, exchange: str, asked: Sql, after: datetime, until: datetime
    ) -> list[pa.Table]:
        """Pieces of the bars of an interval, from the 1m bars of a window for which a condition holds."""
        from .buckets import in_parts

        def read(begin: datetime, end: datetime) -> pa.Table:
            query = _bars(relation, exchange, begin, end, asked)
            return self._read_packed(query, relation.name, BAR_FIELDS)

        return in_parts(read, interval, after, until)

    def metrics(self, interval: Interval, as_of: datetime, newer: Newer | None = None) -> pa.Table | None:
        """The newest metrics of every symbol at an interval, METRICS_ROWS each or all of a month; None: there are none.

        With ``newer`` only those; where they are built from 5m rows, see ``newer_candles``. One statement. Raises
        SourceError.
        """
        form = self.metrics_form(interval)
        if form is None:
            return None
        self._require_readable(form.relation)
        factor = max(1, interval.length // timedelta(minutes=5)) if form.build else 1
        month = before(as_of, METRICS_WINDOW, 1)
        after = newer.since if newer else max(month, before(as_of, interval.length, METRICS_ROWS))
        shared = {
            "relation": identifier(form.relation.name),
            "time": identifier(form.time),
            "closed": identifier(form.closed),
            "values": values_of(form.relation, METRIC_COLUMNS, table="m"),
        }
        rows = literal(METRICS_ROWS * factor)
        window = {"after": plain_moment(after), "until": plain_moment(as_of)}
        queries = [render(statement("source/metrics"), **shared, **window)]
        if newer:
            queries += [
                render(
                    statement("source/late_metrics"),
                    **shared,
                    late=late_rows(group, plain_moment),
                    earliest=plain_moment(min(group.values())),
                    until=plain_moment(newer.since),
                    rows=rows,
                )
                for group in newer.groups(interval.length)
            ]
        elif month < after:
            queries.append(
                render(
                    statement("source/lacking_metrics"),
                    **shared,
                    symbols=self._metrics_symbols(form, month, as_of),
                    after=plain_moment(month),
                    near=plain_moment(after),
                    until=plain_moment(as_of),
                    rows=rows,
                )
            )
        if not newer:
            log.info(
                "%s: metrics from %s%s", interval.name, form.relation.name, ", last row of each bucket" * form.build
            )
        query = join(queries, "\nUNION ALL\n")
        table = self._read_packed(query, form.relation.name, [*METRIC_COLUMNS, "is_closed"])
        if form.build:
            from .buckets import build_metrics

            table = build_metrics(table, interval, newer.earliest if newer else month)
        return table

    def _metrics_symbols(self, form: MetricsForm, after: datetime, until: datetime) -> Sql:
        """The symbols that have metrics in a window, by a table with an index if there is one."""
        relation, time, fine = form.relation, form.time, self.relations.get(METRICS_5M)
        if not relation.stored and fine is not None and fine.usable and "create_time" in fine.columns:
            relation, time = fine, "create_time"
        return render(
            statement(f"source/metrics_symbols_{'stored' if relation.stored else 'view'}"),
            relation=identifier(relation.name),
            time=identifier(time),
            after=plain_moment(after),
            until=plain_moment(until),
        )

    def auto_symbols(self, exchange: str, as_of: datetime, top: int) -> dict[str, list[str]]:
        """The symbols that the rules of ``auto`` choose, each with its rules. One statement. Raises SourceError."""
        now = moment(as_of)
        bars = "5m" if self._readable("candles_5m") else "1m"
        if bars == "1m" and "candles_1m" in self.relations:
            self._require_readable(self.relations["candles_1m"])
        fine = self.metrics_form(INTERVALS["5m"])
        if fine is None or not fine.relation.usable:
            metrics = statement("source/auto_metrics_none")
        else:
            since = before(as_of, _AUTO_METRICS, 1)
            metrics = render(
                statement("source/auto_metrics"),
                symbols=self._metrics_symbols(fine, since, as_of),
                relation=identifier(fine.relation.name),
                time=identifier(fine.time),
                after=plain_moment(since),
                until=plain_moment(as_of),
            )
        query = render(
            statement("source/auto_symbols"),
            bars=render(
                statement(f"source/auto_bars_{bars}"),
                exchange=literal(exchange),
                after=moment(before(as_of, _AUTO_BARS, 1)),
                as_of=now,
            ),
            metrics=metrics,
            as_of=now,
            top=literal(top),
        )
        found = self._read(query, f"candles_{bars}", ["symbol", "rules"])
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
                after=moment(interval.back(as_of, 2 * lookback)),
                until=moment(as_of),
            )
            for interval in intervals
        ]
        found = self._read(join(windows, "\nUNION\n"), intervals[0].candles, ["symbol"])
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

    def _readable(self, name: str) -> bool:
        return name in self.relations and self.relations[name].usable

    def _require_readable(self, relation: Relation) -> None:
        if relation.called is not None:
            raise SourceError(calling(f"{SCHEMA}.{relation.name}", relation.called))
        if not relation.readable:
            role = identifier(self._role)
            raise SourceError(
                f"the role may not read {SCHEMA}.{relation.name}: "
                f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}"
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

    def _read(self, query: Sql, relation: str, texts: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        table = self._in_bulk(query, relation, pa.schema([(name, pa.string()) for name in texts]))
        self._count(table, table)
        return table

    def _read_packed(self, query: Sql, relation: str, fields: Sequence[str]) -> pa.Table:
        return self._unpacked(packed(query, fields), relation, fields)

    def _unpacked(self, query: Sql, relation: str, fields: Sequence[str]) -> pa.Table:
        received = self._in_bulk(query, relation, packed_schema())
        rows = unpacked(received, fields)
        self._count(rows, received)
        return rows

    def _in_bulk(self, query: Sql, relation: str, schema: pa.Schema) -> pa.Table:
        with self._counting:
            self._observer.sent()
        try:
            return self._bulk.read(query, schema)
        except ReadError as error:
            raise SourceError(
                f"reading {SCHEMA}.{relation} failed: {one_line(error)}; try again, or see `candlemill doctor`"
            ) from None


def _bars(relation: Relation, exchange: str, after: datetime, until: datetime, asked: Sql) -> Sql:
    """The bars of a window for which a condition holds."""
    return render(
        statement("source/newer_candles"),
        values=values_of(relation, dict.fromkeys(BAR_FIELDS), table="bars"),
        relation=identifier(relation.name),
        exchange=literal(exchange),
        after=moment(after),
        until=moment(until),
        chosen=asked,
    )
