"""``init-db``: the source schema, on TimescaleDB where the extension is there, on plain PostgreSQL otherwise.

Only relations that a call creates get settings, policies and rows from it. What exists stays as it is, whatever it is;
what it lacks is named, with the statement that would mend it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from ..base.errors import SourceError, UsageError, one_line
from ..base.intervals import DEFAULT_INTERVALS, INTERVALS
from ..base.ranges import Range
from ..base.statements import Sql, identifier, literal, render, statement
from .aggregates import Aggregate, Connection, aggregates, interval_text, lacking, oldest_row, policy, refreshing
from .reader import METRICS_5M
from .session import session
from .urls import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

CANDLES_1M = "candles_1m"
_COARSER = tuple(name for name in DEFAULT_INTERVALS if name != "1m")
_COARSER_METRICS = tuple(name for name in _COARSER if name != "5m")
_RETENTION = re.compile(r"(\d{1,5})d")
#: The policies of weekly aggregates look back over two weeks at least, and never behind the retention.
_LEAST_RETENTION = timedelta(days=15)


@dataclass
class Setup:
    """What a call of ``init_db`` did.

    Attributes:
        created: what was missing and is there, by name.
        left: relations of the schema that were there, and that nothing was done to.
        remarks: what is worth knowing or missing, each with what to do.
    """

    created: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def parse_retention(text: str | None) -> timedelta | None:
    """A number of days such as ``180d``. Raises UsageError."""
    if text is None:
        return None
    match = _RETENTION.fullmatch(text.strip())
    if match is None or timedelta(days=int(match[1])) < _LEAST_RETENTION:
        raise UsageError(
            f"--retain {text!r} is no number of days from {_LEAST_RETENTION.days}d to 99999d, such as 180d: "
            "weekly candles are refreshed from the 1m candles of two whole weeks"
        )
    return timedelta(days=int(match[1]))


def init_db(url: str, retain: timedelta | None = None, notify: bool = False) -> Setup:
    """Create what is missing of the schema market_data.

    Args:
        url: the database; its role may create relations.
        retain: after which TimescaleDB drops the rows of the tables that are created; None: never.
        notify: give candles_1m a trigger that tells of new bars.

    Raises:
        UsageError: rows of a table that is there already would have to be dropped.
        SourceError: the database cannot be reached, or refuses a statement.
    """
    place = redacted(url)
    try:
        with session(url, writes=True) as connection:
            return _Schema(connection, place).create(retain, notify)
    except psycopg.Error as error:
        raise SourceError(
            f"the schema could not be created in {place}: {one_line(error)}; check the URL, and that the server runs"
        ) from error


def plain_candles(interval: str) -> list[tuple[str, Sql]]:
    """An interval's table and its index by time: (relation that the statement creates, or nothing; the statement)."""
    name = f"candles_{interval}"
    index = render(
        statement("schema/plain/candles_index"), index=identifier(f"{name}_bucket_ts"), relation=identifier(name)
    )
    return [(name, render(statement("schema/candles"), relation=identifier(name))), ("", index)]


class _Schema:
    """A database in which the schema is made: what there is in it, and the steps."""

    def __init__(self, connection: Connection, place: str) -> None:
        self._connection = connection
        self._place = place
        self._setup = Setup()
        row = self._all(statement("schema/server"))[0]
        extension, self._available, self._license, self._has_schema, usable, database, role = row
        self._extension = identifier(str(extension)) if extension is not None else None
        self._database, self._role = str(database), str(role)
        if not usable:
            raise SourceError(
                f"the role may not use the schema market_data of {place}: GRANT USAGE, CREATE ON SCHEMA market_data TO "
                f"{self._me}, and run `candlemill init-db` again"
            )
        existing = self._all(statement("schema/existing"))
        self._stored = {str(name): bool(stored) for name, stored, _ in existing}
        self._owners = {str(name): str(owner) for name, _, owner in existing}
        self._hypertables = (
            {str(name) for (name,) in self._all(statement("schema/timescale/hypertables"))} if extension else set()
        )

    def create(self, retain: timedelta | None, notify: bool) -> Setup:
        """Create what is missing."""
        self._refuse_to_drop(retain)
        self._explain()
        for aggregate in aggregates(self._connection):
            self._setup.remarks += lacking(self._connection, aggregate)
        if not self._has_schema:
            advice = f"a role that may has to GRANT CREATE ON DATABASE {identifier(self._database)} TO {self._me}"
            self._run(statement("schema/schema"), advice)
        self._candles(retain)
        self._metrics(retain)
        for aggregate in aggregates(self._connection):
            if aggregate.schema == "market_data" and aggregate.name in self._setup.created:
                self._fill(aggregate)
        if notify:
            self._notify()
        self._setup.left = [name for name in _relations() if name in self._stored]
        return self._setup

    @property
    def _me(self) -> Sql:
        return identifier(self._role)

    @property
    def _community(self) -> Sql | None:
        """The schema of an extension that has aggregates and policies."""
        return None if self._license == "apache" else self._extension

    def _aggregated(self, table: str) -> Sql | None:
        """The schema of the extension, where what is coarser than a table is made of aggregates over it."""
        return self._community if table not in self._stored or table in self._hypertables else None

    def _refuse_to_drop(self, retain: timedelta | None) -> None:
        """A retention is for tables that this call creates: of what is there nobody has asked to drop anything."""
        if retain is None:
            return
        times = {CANDLES_1M: "bucket_ts", METRICS_5M: "create_time"}
        there = [name for name in times if name in self._stored]
        if self._community and not there:
            return
        why = f"{' and '.join(there)} keep their rows" if there else "only TimescaleDB drops old rows by itself"
        statements = "; ".join(
            one_line(_retention(self._community, name, retain))
            if self._community and name in self._hypertables
            else f"DELETE FROM market_data.{name} WHERE {times[name]} < now() - INTERVAL '{interval_text(retain)}'"
            for name in there or times
        )
        raise UsageError(f"--retain is refused, and nothing was done: {why}; to drop older rows for good: {statements}")

    def _explain(self) -> None:
        """Say why the schema, or a part of it, consists of plain tables where there could be more."""
        remarks = self._setup.remarks
        if self._extension is None:
            if self._available is not None:
                remarks.append(
                    f"TimescaleDB {self._available} is on this server but not in the database "
                    f"{identifier(self._database)}, so tables are plain; for hypertables: "
                    "CREATE EXTENSION timescaledb, and init-db again, which then says how to move"
                )
        elif self._license == "apache":
            remarks.append(
                "TimescaleDB is here in its Apache edition, which has no continuous aggregates, so tables are plain; "
                "with timescaledb.license = 'timescale' in postgresql.conf init-db says how to move"
            )
        else:
            for table, time, chunk in ((CANDLES_1M, "bucket_ts", "1 day"), (METRICS_5M, "create_time", "7 days")):
                if self._stored.get(table) and table not in self._hypertables:
                    remarks.append(self._migration(table, time, chunk))

    def _migration(self, table: str, time: str, chunk: str) -> str:
        # Those that are missing are made, in the plain form, before anybody reads this.
        renames = [
            f"ALTER {'TABLE' if self._stored.get(name, table == CANDLES_1M) else 'VIEW'} market_data.{name} "
            f"RENAME TO plain_{name}"
            for name in _relations()
            if _made_from(name) == table
        ]
        hypertable = (
            f"SELECT {self._extension}.create_hypertable('market_data.{table}', '{time}', "
            f"chunk_time_interval => INTERVAL '{chunk}', migrate_data => TRUE)"
        )
        steps = "; ".join([hypertable, *renames])
        return (
            f"{table} is a plain table and stays one, and so does what is made from it: that works, but is neither "
            f"compressed nor aggregated; to move, which locks it: {steps}; and init-db again"
        )

    def _candles(self, retain: timedelta | None) -> None:
        extension = self._aggregated(CANDLES_1M)
        steps = [query for _, query in plain_candles("1m")[: 1 if extension else 2]]
        if extension:
            steps += [
                render(statement("schema/timescale/candles_hypertable"), extension=extension),
                statement("schema/timescale/candles_compression"),
                render(statement("schema/timescale/candles_compression_policy"), extension=extension),
            ]
            self._table(CANDLES_1M, steps, retain)
        else:
            self._table(CANDLES_1M, steps)
        for name in _COARSER:
            relation = f"candles_{name}"
            if extension:
                self._view(relation, _aggregate(extension, "candles", relation, name))
            else:
                self._table(relation, [query for _, query in plain_candles(name)])

    def _metrics(self, retain: timedelta | None) -> None:
        extension = self._aggregated(METRICS_5M)
        table = statement("schema/metrics")
        if extension:
            hypertable = render(statement("schema/timescale/metrics_hypertable"), extension=extension)
            self._table(METRICS_5M, [table, hypertable], retain)
        else:
            self._table(METRICS_5M, [table])
        for name in _COARSER_METRICS:
            view = f"binance_futures_metrics_{name}_last"
            if extension:
                self._view(view, _aggregate(extension, "metrics", view, name))
            else:
                bucket = literal(INTERVALS[name].bucket)
                self._view(view, render(statement("schema/plain/metrics_last"), view=identifier(view), bucket=bucket))

    def _table(self, name: str, steps: Sequence[Sql], retain: timedelta | None = None) -> None:
        """Create a table, if it is missing, with what belongs to it, all or nothing."""
        if name in self._stored:
            return
        if retain is not None:
            log.warning("market_data.%s: rows older than %s will be dropped (--retain)", name, interval_text(retain))
            steps = [*steps, _retention(self._community, name, retain)]
        with self._connection.transaction():
            for query in steps:
                self._run(query, f"its owner has to GRANT USAGE, CREATE ON SCHEMA market_data TO {self._me}")
        self._made(name)

    def _view(self, name: str, query: Sql) -> None:
        """Create a view or an aggregate, if it is missing."""
        if name in self._stored:
            return
        self._run(query, self._owners_advice(_made_from(name) or name))
        self._made(name)

    def _fill(self, aggregate: Aggregate) -> None:
        """Let a new aggregate hold what its parent has, and only then be refreshed by a policy.

        A policy that came first would raise the watermark, and hide what is older than it looks back.
        """
        oldest = oldest_row(self._connection, aggregate)
        if oldest is not None:
            first, now = aggregate.buckets(self._connection, [oldest, datetime.now(UTC)])
            if first.start < now.start:
                try:
                    aggregate.refresh(self._connection, [Range(first.start, now.start)])
                except psycopg.Error as error:
                    raise self._refused(refreshing(aggregate, Range(first.start, now.start)), error) from error
        query = policy(aggregate)
        if query is not None:
            self._run(query)
        else:
            self._setup.remarks += lacking(self._connection, aggregate)

    def _notify(self) -> None:
        if CANDLES_1M in self._stored and not self._stored[CANDLES_1M]:
            self._setup.remarks.append("candles_1m is a view, which can have no trigger: --notify did nothing")
            return
        there = [str(name) for (name,) in self._all(statement("schema/notifying"))]
        if there:
            self._setup.remarks.append(f"candles_1m notifies already, by the trigger {', '.join(there)}, which stays")
            return
        with self._connection.transaction():
            self._run(statement("schema/notify"), self._owners_advice(CANDLES_1M))
        self._made("candlemill_notify")

    def _owners_advice(self, table: str) -> str:
        owner = identifier(self._owners.get(table, self._role))
        return f"run it as the owner of {table}, {owner}, or as {owner} GRANT {owner} TO {self._me}"

    def _made(self, name: str) -> None:
        log.info("created market_data.%s", name)
        self._setup.created.append(name)

    def _all(self, query: Sql) -> list[tuple[object, ...]]:
        return self._connection.execute(query.encode()).fetchall()

    def _run(self, query: Sql, advice: str = "") -> None:
        """Execute a statement. Raises SourceError, with the advice where rights are missing."""
        try:
            self._connection.execute(query.encode())
        except psycopg.Error as error:
            raise self._refused(query, error, advice) from error

    def _refused(self, query: Sql, error: psycopg.Error, advice: str = "") -> SourceError:
        what = one_line(query)
        shown = what if len(what) <= 120 else f"{what[:119]}…"
        todo = advice if isinstance(error, errors.InsufficientPrivilege) and advice else "mend what it says"
        again = "then run `candlemill init-db` again; what was created stays"
        return SourceError(f"{self._place} refused `{shown}`: {one_line(error)}; {todo}, {again}")


def _relations() -> list[str]:
    """All relations of the schema, in the order in which they are made."""
    return [
        *(f"candles_{name}" for name in DEFAULT_INTERVALS),
        METRICS_5M,
        *(f"binance_futures_metrics_{name}_last" for name in _COARSER_METRICS),
    ]


def _made_from(name: str) -> str | None:
    """The table that a coarser relation is made from; None for that table itself."""
    if name in (CANDLES_1M, METRICS_5M):
        return None
    return CANDLES_1M if name.startswith("candles_") else METRICS_5M


def _aggregate(extension: Sql, what: str, view: str, interval: str) -> Sql:
    return render(
        statement(f"schema/timescale/{what}_aggregate"),
        extension=extension,
        view=identifier(view),
        bucket=literal(INTERVALS[interval].bucket),
    )


def _retention(extension: Sql | None, table: str, length: timedelta) -> Sql:
    if extension is None:
        raise ValueError("without TimescaleDB there are no policies")
    return render(
        statement("schema/timescale/retention"),
        extension=extension,
        relation=literal(f"market_data.{table}"),
        length=literal(interval_text(length)),
    )
