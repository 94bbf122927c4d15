"""Continuous aggregates of TimescaleDB: which there are, their buckets, what they hold, and how to refresh them.

An aggregate holds rows up to its watermark; above it, a real-time aggregate shows what its parent gives. A refresh
deletes what the aggregate holds in a window and makes it anew from the parent. So rows whose parent rows have been
dropped are lost by it, and a refresh that raises the watermark hides what was never refreshed below it. ``windows``
and ``Aggregate.doubtful`` are there to prevent both.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from psycopg.rows import class_row

from ..base.errors import SourceError, one_line
from ..base.intervals import INTERVALS
from ..base.ranges import Range, common, minus, pieces, union
from ..base.statements import Sql, identifier, join, literal, render, statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

log = logging.getLogger(__name__)

Connection: TypeAlias = "psycopg.Connection[tuple[object, ...]]"

#: Columns that say how a row came about: rows that differ in nothing else are the same.
_BOOKKEEPING = {"source", "ingested_at", "updated_at"}
_SERIES = ("exchange", "symbol")
#: A refresh is done in pieces of this length, each a transaction.
_PIECE = timedelta(days=30)
_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
#: A policy leaves the newest rows alone for as long.
_END_OFFSET = timedelta(minutes=1)


@dataclass(frozen=True)
class Lag:
    """A bucket of a symbol that an aggregate does not show as its parent gives it; ``missing``: not at all."""

    start: datetime
    symbol: str
    missing: bool


@dataclass(frozen=True, eq=False)
class Aggregate:
    """A continuous aggregate; the fields are the columns of ``sql/source/aggregates.sql``."""

    extension_schema: str
    root: str
    parent_schema: str
    parent_name: str
    parent_time: str
    step_seconds: float | None
    schema: str
    name: str
    held_schema: str
    held_name: str
    direct_schema: str
    direct_name: str
    owner: str
    owned: bool
    readable: bool
    materialized_only: bool
    time: str
    zoned: bool
    columns: Sequence[str]
    width: str
    origin: str | None
    shift: str | None
    zone: str | None
    seconds: float | None
    watermark: int | None
    policy: int | None
    reaches_seconds: float | None
    retention_seconds: float | None

    @property
    def view(self) -> Sql:
        """Its name in a statement."""
        return _qualified(self.schema, self.name)

    @property
    def parent(self) -> Sql:
        """What it is made from, in a statement."""
        return _qualified(self.parent_schema, self.parent_name)

    @property
    def by_symbol(self) -> bool:
        """Whether its rows are of one symbol each."""
        return "symbol" in self.columns

    @property
    def length(self) -> timedelta:
        """Of a bucket, of a month the longest."""
        return timedelta(seconds=self.seconds) if self.seconds else INTERVALS["1M"].length

    @property
    def retention(self) -> timedelta | None:
        """After which the rows of its parent are dropped."""
        return timedelta(seconds=self.retention_seconds) if self.retention_seconds else None

    @property
    def reaches(self) -> timedelta | None:
        """How far back its refresh policy looks; None: without end."""
        return None if self.reaches_seconds is None else timedelta(seconds=self.reaches_seconds)

    @property
    def materialized_until(self) -> datetime | None:
        """The watermark; None before the first refresh."""
        if self.watermark is None:
            return None
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self.watermark)

    def buckets(self, connection: Connection, times: Sequence[datetime]) -> list[Range]:
        """The bucket of each time."""
        if not times:
            return []
        bucket = self._bucket(identifier("at"))
        query = render(statement("source/buckets"), bucket=bucket, bucket_end=self._end(bucket), type=_type(self))
        given = [time.astimezone(UTC).replace(tzinfo=UTC if self.zoned else None) for time in times]
        found = connection.execute(query.encode(), {"times": given})
        return [Range(utc(start), utc(until)) for start, until in found]

    def covering(self, connection: Connection, ranges: Sequence[Range]) -> list[Range]:
        """The buckets that rows of some ranges of time lie in, as ranges."""
        edges = self.buckets(connection, [time for one in ranges for time in (one.start, one.until - _TICK)])
        return union(Range(first.start, last.until) for first, last in zip(edges[::2], edges[1::2], strict=True))

    def held(self, connection: Connection, window: Range) -> Range | None:
        """The part of a window of whole buckets that has all rows that are held in it; None where there are none."""
        query = render(statement("source/held"), time=identifier(self.time), held=self._held, **self._within(window))
        row = connection.execute(query.encode()).fetchone()
        if row is None or row[0] is None:
            return None
        first, last = self.buckets(connection, [utc(row[0]), utc(row[1])])
        return Range(first.start, last.until)

    def doubtful(self, connection: Connection, window: Range) -> list[Range]:
        """Buckets of a window of which other rows are held than the parent gives now."""
        query = render(
            statement("source/doubtful"),
            time=identifier(self.time),
            columns=self._values,
            held=self._held,
            direct=_qualified(self.direct_schema, self.direct_name),
            **self._within(window),
        )
        return union(self.buckets(connection, [utc(start) for (start,) in connection.execute(query.encode())]))

    def irreplaceable(self, connection: Connection, doubtful: Sequence[Range]) -> tuple[list[Range], list[str]]:
        """Of buckets in doubt those that a refresh could take something from, and the symbols whose rows it would be.

        From a bucket whose symbols have all rows in the parent that they can have, it takes nothing.
        """
        if not self.by_symbol:
            return union(doubtful), []
        found = [one for window in doubtful for one in self.incomplete(connection, window)]
        buckets = union(self.buckets(connection, sorted({start for start, _ in found})))
        return buckets, sorted({symbol for _, symbol in found})

    def incomplete(self, connection: Connection, window: Range) -> list[tuple[datetime, str]]:
        """Buckets of a window, with symbols of which they hold rows and the parent lacks some that could be in them."""
        series = [name for name in _SERIES if name in self.columns]
        query = render(
            statement("source/incomplete"),
            time=identifier(self.time),
            held=self._held,
            series=join([identifier(name) for name in series]),
            bucket=self._bucket(identifier(self.parent_time)),
            parent=self.parent,
            parent_time=identifier(self.parent_time),
            same=_same("p", "h", series),
            step=literal(str(self._step.total_seconds())),
            bucket_end=self._end(Sql(f"h.{identifier(self.time)}")),
            **self._within(window),
        )
        return [(utc(start), str(symbol)) for start, symbol in connection.execute(query.encode())]

    def lagging(
        self, connection: Connection, window: Range, symbols: Sequence[str], exchange: str | None = None
    ) -> list[Lag]:
        """Buckets of some symbols within a window that are not shown as the parent gives them."""
        series = [name for name in _SERIES if name in self.columns]
        by_exchange = exchange is not None and "exchange" in series
        query = render(
            statement("source/lagging"),
            time=identifier(self.time),
            columns=self._values,
            direct=_qualified(self.direct_schema, self.direct_name),
            view=self.view,
            same=_same("s", "late", series),
            of_exchange=Sql("exchange = %(exchange)s" if by_exchange else "TRUE"),
            **self._within(window),
        )
        parameters = {"symbols": list(symbols), "exchange": exchange}
        return [
            Lag(utc(start), str(symbol), bool(missing))
            for start, symbol, missing in connection.execute(query.encode(), parameters)
        ]

    def refresh(self, connection: Connection, windows: Sequence[Range]) -> None:
        """Make the rows of some windows of whole buckets anew, the oldest first, each piece a transaction.

        Pieces in which the parent has no rows are left out: of these there is nothing to be made or hidden.

        Args:
            connection: in autocommit.
            windows: in order. Raises psycopg.Error.
        """
        parts = [part for window in windows for part in self._pieces(connection, window)]
        for number, part in enumerate(parts, 1):
            count = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            log.info("refreshing %s from %s to %s%s", self.name, *(f"{time:%Y-%m-%d %H:%M}" for time in part), count)
            connection.execute(refreshing(self, part).encode())

    def _pieces(self, connection: Connection, window: Range) -> list[Range]:
        # Where buckets differ in length there is no telling where one ends.
        length = max(1, _PIECE // self.length) * self.length if self.seconds else window.until - window.start
        found = list(pieces(window, length))
        return found if len(found) == 1 else [one for one in found if self._has_origin(connection, one)]

    def _has_origin(self, connection: Connection, window: Range) -> bool:
        """Whether the parent has rows within a window."""
        query = render(
            statement("source/any_row"),
            time=identifier(self.parent_time),
            relation=self.parent,
            **self._within(window),
        )
        return connection.execute(query.encode()).fetchone() == (True,)

    @property
    def _step(self) -> timedelta:
        """From one row of a series to the next in the parent."""
        if self.step_seconds is not None:
            return timedelta(seconds=self.step_seconds)
        return row_step(self.root)

    def time_literal(self, time: datetime) -> Sql:
        """A time to compare with its own."""
        return Sql(f"{_type(self)} {literal(time)}")

    @property
    def _held(self) -> Sql:
        return _qualified(self.held_schema, self.held_name)

    @property
    def _values(self) -> Sql:
        return join([identifier(name) for name in self.columns if name not in _BOOKKEEPING])

    def _bucket(self, time: Sql) -> Sql:
        """The start of the bucket of a time."""
        given = [Sql(f"{literal(self.width)}::interval"), time]
        if self.zone is not None:
            given += [Sql(f"{literal(self.zone)}::text"), self._argument(self.origin, _type(self))]
            given += [self._argument(self.shift, Sql("interval"))]
        elif self.origin is not None:
            given += [self._argument(self.origin, _type(self))]
        elif self.shift is not None:
            given += [self._argument(self.shift, Sql("interval"))]
        return Sql(f"{identifier(self.extension_schema)}.time_bucket({join(given)})")

    @staticmethod
    def _argument(value: str | None, kind: Sql) -> Sql:
        return Sql(f"{literal(value)}::{kind}") if value is not None else Sql(f"NULL::{kind}")

    def _end(self, start: Sql) -> Sql:
        """The end of the bucket with a start: days and months are as long as they are where it counts them."""
        width = Sql(f"{literal(self.width)}::interval")
        if not self.zoned:
            return Sql(f"({start} + {width})")
        zone = literal(self.zone or "UTC")
        return Sql(f"(({start} AT TIME ZONE {zone} + {width}) AT TIME ZONE {zone})")

    def _within(self, window: Range) -> dict[str, Sql]:
        return {"since": self.time_literal(window.start), "until": self.time_literal(window.until)}


def aggregates(connection: Connection) -> list[Aggregate]:
    """The continuous aggregates over hypertables of market_data, each after the one that it is made from.

    Raises:
        SourceError: the TimescaleDB is too old to tell of them what is needed.
    """
    row = connection.execute(statement("source/has_aggregates").encode()).fetchone()
    version, tells = row or (None, False)
    if version is None:
        return []
    if not tells:
        raise SourceError(f"TimescaleDB {version} is too old for its aggregates to be refreshed: update it to 2.16")
    with connection.cursor(row_factory=class_row(Aggregate)) as cursor:
        return cursor.execute(statement("source/aggregates").encode()).fetchall()


def refreshing(aggregate: Aggregate, window: Range) -> Sql:
    """The statement that makes the rows of a window of whole buckets anew."""
    return render(
        statement("source/refresh"),
        extension=identifier(aggregate.extension_schema),
        view=literal(aggregate.view),
        since=aggregate.time_literal(window.start),
        until=aggregate.time_literal(window.until),
    )


def reading(aggregate: Aggregate, role: str) -> str:
    """The statements that let a role read an aggregate and what it is made from."""
    schemas = ", ".join(sorted({identifier(aggregate.schema), identifier(aggregate.parent_schema)}))
    to = f"TO {identifier(role)}"
    return f"GRANT USAGE ON SCHEMA {schemas} {to}; GRANT SELECT ON {aggregate.view}, {aggregate.parent} {to}"


def row_step(table: str) -> timedelta:
    """From one row of a series to the next in a table of candles or metrics."""
    interval = INTERVALS.get(table.removeprefix("candles_"))
    return interval.length if interval else timedelta(minutes=5)


def oldest_row(connection: Connection, aggregate: Aggregate) -> datetime | None:
    """The time of the oldest row of its parent."""
    query = render(
        statement("source/oldest"),
        time=identifier(aggregate.parent_time),
        relation=aggregate.parent,
    )
    row = connection.execute(query.encode()).fetchone()
    return None if row is None or row[0] is None else utc(row[0])


def windows(
    touched: Sequence[Range], kept: Sequence[Range], watermark: datetime | None, oldest: datetime, forming: datetime
) -> list[Range]:
    """What to refresh of an aggregate so that it shows all rows and loses none.

    Args:
        touched: buckets whose rows have changed.
        kept: buckets that must stay as they are.
        watermark: up to where the aggregate is refreshed; None before the first refresh.
        oldest: start of the bucket of the oldest row of the parent.
        forming: start of the bucket of now. From there on nothing is refreshed, because it would no longer grow.

    Returns:
        Windows of whole buckets, in order. Where they raise the watermark, they cover what has not been refreshed yet.
    """
    ready = common(touched, [Range(datetime.min.replace(tzinfo=UTC), forming)])
    if ready and (watermark is None or ready[-1].until > watermark):
        ready.append(Range(oldest if watermark is None else max(oldest, watermark), ready[-1].until))
    return minus(ready, kept)


def policy(aggregate: Aggregate) -> Sql | None:
    """The statement that adds a refresh policy; None where it would have to look behind the retention of the parent.

    A policy looks back over a week, over two months where buckets are longer than a day, so that a standstill of days
    heals by itself. Behind the retention a refresh would delete what only the aggregate still has.
    """
    back = max(timedelta(days=7) if aggregate.length <= _DAY else timedelta(days=60), 3 * aggregate.length)
    if aggregate.retention is not None:
        back = min(back, aggregate.retention)
    # The server wants two buckets at least between the two offsets.
    if back < 2 * aggregate.length + _END_OFFSET:
        return None
    return render(
        statement("source/policy"),
        extension=identifier(aggregate.extension_schema),
        view=literal(aggregate.view),
        back=literal(interval_text(back)),
        stops=literal(interval_text(_END_OFFSET)),
        every=literal(interval_text(max(timedelta(minutes=1), aggregate.length / 4))),
    )


def lacking(connection: Connection, aggregate: Aggregate) -> list[str]:
    """What an aggregate lacks to stay right by itself, each with the statement that mends it and deletes nothing."""
    if not aggregate.readable:
        return [f"{aggregate.name} may not be read: {reading(aggregate, connection.info.user)}"]
    return [*_lacking_policy(aggregate), *_lacking_history(connection, aggregate)]


def _lacking_policy(aggregate: Aggregate) -> Iterator[str]:
    added = policy(aggregate)
    kept = interval_text(aggregate.retention) if aggregate.retention is not None else "all time"
    parent = f"{aggregate.parent_name} keeps its rows for {kept}"
    if aggregate.policy is None:
        how = one_line(added) if added else f"{parent}, too short for one: let it keep them for two buckets and a day"
        yield f"{aggregate.name} has no refresh policy: {how}"
    elif aggregate.retention is not None and (aggregate.reaches is None or aggregate.reaches > aggregate.retention):
        reaches = "without end" if aggregate.reaches is None else interval_text(aggregate.reaches)
        remove = render(
            statement("source/remove_policy"),
            extension=identifier(aggregate.extension_schema),
            view=literal(aggregate.view),
        )
        yield (
            f"the refresh policy of {aggregate.name} looks back {reaches}, but {parent}: behind that it deletes what "
            f"only the aggregate still has: {'; '.join(one_line(query) for query in (remove, added) if query)}"
        )


def _lacking_history(connection: Connection, aggregate: Aggregate) -> Iterator[str]:
    oldest = oldest_row(connection, aggregate)
    if oldest is None:
        return
    first, now = aggregate.buckets(connection, [oldest, datetime.now(UTC)])
    until = aggregate.materialized_until
    if until is None:
        if first.start < now.start:
            yield (
                f"{aggregate.name} was never refreshed, so that each reading of it aggregates all rows of "
                f"{aggregate.parent_name}: {refreshing(aggregate, Range(first.start, now.start))}"
            )
        return
    held = aggregate.held(connection, Range(first.start, until))
    hidden = Range(first.start, held.start if held else until)
    if hidden.start < hidden.until:
        # It holds nothing there, so that a refresh has nothing to delete.
        yield (
            f"{aggregate.name} shows nothing of {aggregate.parent_name} from {hidden.start:%Y-%m-%d %H:%M} to "
            f"{hidden.until:%Y-%m-%d %H:%M}: {refreshing(aggregate, hidden)}"
        )


def interval_text(length: timedelta) -> str:
    """A length as an SQL interval."""
    if length % _DAY:
        return f"{length.total_seconds():.0f} seconds"
    return f"{length // _DAY} days"


def _type(aggregate: Aggregate) -> Sql:
    return Sql("timestamptz") if aggregate.zoned else Sql("timestamp")


def _qualified(schema: str, name: str) -> Sql:
    return Sql(f"{identifier(schema)}.{identifier(name)}")


def _same(one: str, other: str, names: Sequence[str]) -> Sql:
    """Condition that two rows are of the same series."""
    left, right = identifier(one), identifier(other)
    return join([Sql(f"{left}.{identifier(name)} = {right}.{identifier(name)}") for name in names], " AND ")


def utc(time: object) -> datetime:
    """A time of the server, which has no zone where its column has none."""
    if not isinstance(time, datetime):
        raise TypeError(f"{time!r} is no time")
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
