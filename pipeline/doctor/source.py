"""The source: whether it answers, what the role may read, what is there, how fresh it is, and whether it is right."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from ...indicators.contract import BAR_FIELDS
from ..base.errors import CandlemillError, one_line
from ..base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval
from ..base.statements import Sql, identifier, literal, render, statement
from ..source.clauses import calling
from ..source.reader import METRIC_COLUMNS, METRICS_5M, SCHEMA, MetricsForm, Source
from ..source.session import session
from ..source.urls import redacted
from .aggregates import aggregate_checks
from .check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..source.clauses import Relation

#: A statement of a check that takes longer is given up.
_SECONDS = 20
#: Readers take a row for stale when its bar is over for longer than this, or than half a bar.
_LATE = timedelta(minutes=10)
_SKEW = timedelta(seconds=5)
_TEXTS, _NUMBERS = ("text", "character varying"), ("numeric", "double precision", "real", "bigint", "integer")
_BAR_TYPES = {"exchange": _TEXTS, "symbol": _TEXTS, "bucket_ts": ("timestamp with time zone",)} | dict.fromkeys(
    BAR_FIELDS, _NUMBERS
)
_OPTIONAL = {"quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume"}
_METRICS = tuple(METRIC_COLUMNS.values())


def source(url: str | None) -> Iterator[Check]:
    """All checks of the source."""
    if not url:
        yield Check("source", None, "give --source URL or set DATABASE_URL; `candlemill demo` needs none")
        return
    try:
        found = Source.connect(url)
    except CandlemillError as error:
        yield Check("source", False, str(error))
        return
    try:
        with session(url, seconds=_SECONDS) as connection:
            yield from _server(connection, url)
            types: dict[str, dict[str, str]] = defaultdict(dict)
            for relation, name, kind in connection.execute(statement("doctor/columns").encode()):
                types[relation][name] = kind
            for name in DEFAULT_INTERVALS:
                yield _candles(connection, found, INTERVALS[name], types)
            for name in DEFAULT_INTERVALS:
                form = found.metrics_form(INTERVALS[name])
                if form is not None:
                    yield _metrics(connection, found, form, INTERVALS[name], types)
            if all(relation.called is None for relation in found.relations.values()):
                yield from aggregate_checks(connection, _SECONDS)
    except psycopg.Error as error:
        yield Check("source", False, f"it stopped to answer: {one_line(error)}; check the server's log")


def _server(connection: psycopg.Connection, url: str) -> Iterator[Check]:
    before = datetime.now(UTC)
    row = connection.execute(statement("doctor/server").encode()).fetchone()
    if row is None:
        return
    version, timescaledb, role, time_zone, moment = row
    kind = f"TimescaleDB {timescaledb}" if timescaledb else "no TimescaleDB"
    yield Check(
        "source",
        True,
        f"{redacted(url)} answers: PostgreSQL {version}, {kind}, role {role}, time zone {time_zone} (a run uses UTC)",
    )
    # The server looked at its clock at some moment between ours.
    after = datetime.now(UTC)
    yield clock(max(before - moment, moment - after, timedelta(0)))


def clock(skew: timedelta) -> Check:
    """Whether the clocks of the server and of this machine agree."""
    seen = f"the server's clock and ours differ by {skew.total_seconds():.1f} s"
    return Check("clock", skew <= _SKEW, seen if skew <= _SKEW else f"{seen}: set both by NTP")


def _candles(
    connection: psycopg.Connection, found: Source, interval: Interval, types: Mapping[str, Mapping[str, str]]
) -> Check:
    name = f"candles {interval.name}"
    relation = found.relations.get(interval.candles)
    if relation is None:
        minutes = "candles_1m" in found.relations
        how = "built from candles_1m" if minutes else "load candles, or run `candlemill init-db`"
        return Check(name, minutes, f"no table: {how}")
    fault = _unreadable(connection, relation) or _mistyped(relation, types[relation.name], _BAR_TYPES)
    return Check(name, False, fault) if fault else _fresh(name, connection, relation, "bucket_ts", interval)


def _metrics(
    connection: psycopg.Connection,
    found: Source,
    form: MetricsForm,
    interval: Interval,
    types: Mapping[str, Mapping[str, str]],
) -> Check:
    name = f"metrics {interval.name}"
    relation = form.relation
    wanted = {"symbol": _TEXTS, form.time: ("timestamp without time zone",), form.closed: ("boolean",)} | dict.fromkeys(
        _METRICS, _NUMBERS
    )
    fault = _unreadable(connection, relation) or _mistyped(relation, types[relation.name], wanted)
    if fault:
        return Check(name, False, fault)
    if form.build:
        return Check(name, True, f"the last row of each bucket of {relation.name}")
    fine = found.relations.get(METRICS_5M)
    if fine is not None and fine.usable and relation.name != METRICS_5M:
        fault = _summed(connection, form, interval)
        if fault:
            return Check(name, False, fault)
    return _fresh(name, connection, relation, form.time, interval)


def _unreadable(connection: psycopg.Connection, relation: Relation) -> str:
    if relation.called is not None:
        return calling(f"{SCHEMA}.{relation.name}", relation.called)
    if relation.readable:
        return ""
    role, name = (
        identifier(connection.info.user),
        relation.name if relation.name.islower() else identifier(relation.name),
    )
    return (
        f"{SCHEMA}.{relation.name} may not be read: "
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; GRANT SELECT ON {SCHEMA}.{name} TO {role}"
    )


def _mistyped(relation: Relation, types: Mapping[str, str], wanted: Mapping[str, tuple[str, ...]]) -> str:
    wrong = [f"{column} is missing" for column in wanted if column not in types and column not in _OPTIONAL]
    wrong += [
        f"{column} is {types[column]} instead of {kinds[0]}"
        for column, kinds in wanted.items()
        if column in types and types[column] not in kinds
    ]
    return f"{SCHEMA}.{relation.name}: {', '.join(wrong)}: mend it with ALTER TABLE" if wrong else ""


def _fresh(name: str, connection: psycopg.Connection, relation: Relation, time: str, interval: Interval) -> Check:
    now = datetime.now(UTC)
    since = now - 4 * interval.length - timedelta(days=2)
    zoned = time == "bucket_ts"
    bound = (
        f"timestamptz {literal(since)}" if zoned else f"{literal(since.replace(tzinfo=None).isoformat())}::timestamp"
    )
    query = render(
        statement("doctor/newest"), relation=identifier(relation.name), time=identifier(time), since=Sql(bound)
    )
    try:
        [newest] = connection.execute(query.encode()).fetchone() or [None]
    except psycopg.errors.QueryCanceled:
        return Check(name, True, f"{relation.name}; finding its newest row takes more than {_SECONDS} s")
    if newest is None:
        return Check(name, False, f"{relation.name} has nothing since {since:%Y-%m-%d %H:%M} UTC: check what fills it")
    newest = newest.astimezone(UTC) if zoned else newest.replace(tzinfo=UTC)
    seen = f"{relation.name}, newest {newest:%Y-%m-%d %H:%M} UTC"
    if newest > now + _LATE:
        return Check(name, False, f"{seen}, which is in the future: write its times in UTC, and check the clocks")
    if now - newest - interval.length > max(_LATE, interval.length / 2):
        return Check(name, False, f"{seen}, which is too old: check what fills it, and its refresh policy")
    return Check(name, True, seen)


def _summed(connection: psycopg.Connection, form: MetricsForm, interval: Interval) -> str:
    """What is wrong with the values of a coarser interval against the 5m rows; nothing where they are the last ones."""
    query = render(
        statement("doctor/metrics_factor"),
        relation=identifier(form.relation.name),
        time=identifier(form.time),
        length=literal(interval.bucket),
    )
    try:
        rows = connection.execute(query.encode()).fetchall()
    except psycopg.errors.QueryCanceled:
        return ""
    wrong = [(name, factor, points) for name, factor, points in rows if factor and not 0.8 < factor < 1.25]
    if not wrong:
        return ""
    _, factor, points = wrong[0]
    cause = "they are summed" if factor > points / 2 else "they are not the last ones"
    return (
        f"{SCHEMA}.{form.relation.name}: {', '.join(name for name, *_ in wrong)} about {factor:.1f} times the last "
        f"of the {points:.0f} 5m rows of a bucket: {cause}; move it out of the way and make the right one: "
        f"{_renamed(form.relation)}, and run `candlemill init-db`"
    )


def _renamed(relation: Relation) -> Sql:
    """The statement that keeps a relation under another name."""
    kind = "TABLE" if relation.stored else "MATERIALIZED VIEW" if relation.aggregate else "VIEW"
    return Sql(f"ALTER {kind} {SCHEMA}.{identifier(relation.name)} RENAME TO {identifier(f'{relation.name}_wrong')}")
