"""The continuous aggregates: whether they show what their rows give, and are kept that way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from psycopg import errors
from psycopg.rows import class_row

from ..base.errors import SourceError, one_line
from ..base.ranges import Range, minus, union
from ..base.statements import identifier, literal, render, statement
from ..settings import DEFAULT_LOOKBACK
from ..source.aggregates import aggregates, lacking, refreshing
from .check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..source.aggregates import Aggregate, Connection, Lag

_FEW = 3
_RECENT = timedelta(days=1)


@dataclass(frozen=True)
class _Job:
    job: int
    scheduled: bool
    failed: bool | None
    finished: datetime | None
    message: str | None


def aggregate_checks(connection: Connection, seconds: int) -> Iterator[Check]:
    """A check for each aggregate over candles and metrics.

    Args:
        connection: in autocommit; its statements are ended by the server after some seconds.
        seconds: how many.
    """
    try:
        found = aggregates(connection)
    except SourceError as error:
        yield Check("aggregates", False, str(error))
        return
    except errors.InsufficientPrivilege as error:
        role = identifier(connection.info.user)
        yield Check("aggregates", False, f"{one_line(error)}: GRANT USAGE ON SCHEMA market_data TO {role}")
        return
    if not found:
        return
    with connection.cursor(row_factory=class_row(_Job)) as cursor:
        jobs = {job.job: job for job in cursor.execute(statement("doctor/refreshes").encode())}
    for aggregate in found:
        name = f"aggregate {aggregate.name}"
        try:
            faults = [*_settings(aggregate), *_job(aggregate, jobs), *lacking(connection, aggregate)]
            faults += _rows(connection, aggregate)
        except errors.QueryCanceled:
            yield Check(name, True, f"comparing it with {aggregate.parent_name} takes more than {seconds} s")
        except errors.InsufficientPrivilege as error:
            yield Check(name, False, f"{one_line(error)}: run doctor as its owner, {identifier(aggregate.owner)}")
        else:
            seen = f"shows what {aggregate.parent_name} gives{_refreshed(aggregate, jobs)}"
            yield Check(name, not faults, ". ".join(faults) or seen)


def _refreshed(aggregate: Aggregate, jobs: dict[int, _Job]) -> str:
    job = jobs.get(aggregate.policy or 0)
    finished = f", last at {job.finished.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if job and job.finished else ""
    return f", refreshed by job {aggregate.policy}{finished}"


def _settings(aggregate: Aggregate) -> Iterator[str]:
    if aggregate.materialized_only:
        mended = render(statement("doctor/real_time"), view=aggregate.view)
        yield f"it shows nothing newer than its last refresh, no bar that is forming: run {mended}"


def _job(aggregate: Aggregate, jobs: dict[int, _Job]) -> Iterator[str]:
    job = jobs.get(aggregate.policy or 0)
    if job is None:
        return
    if job.failed:
        message = one_line(job.message or "no message may be read")
        yield f"its refresh policy, job {job.job}, has failed ({message}): mend that, and it is tried again"
    behind = aggregate.retention is not None and (aggregate.reaches is None or aggregate.reaches > aggregate.retention)
    if not job.scheduled and not behind:
        resumed = render(
            statement("doctor/resume"), extension=identifier(aggregate.extension_schema), job=literal(job.job)
        )
        yield f"its refresh policy, job {job.job}, is paused: run {resumed}"


def _rows(connection: Connection, aggregate: Aggregate) -> Iterator[str]:
    """What a few symbols lack in the newest buckets, as many as a run reads."""
    now = datetime.now(UTC)
    # Above the watermark, an aggregate shows what its parent gives, or is not meant to show anything.
    until = aggregate.materialized_until
    if until is None or not aggregate.by_symbol:
        return
    symbols = _symbols(connection, aggregate, now)
    start = max(now - DEFAULT_LOOKBACK * aggregate.length, datetime(1970, 1, 1, tzinfo=UTC))
    [first] = aggregate.buckets(connection, [start])
    if first.start >= until:
        return
    lags = _certain(connection, aggregate, aggregate.lagging(connection, Range(first.start, until), symbols))
    if lags:
        yield _described(lags, symbols)
        yield from _mended(connection, aggregate, lags)


def _symbols(connection: Connection, aggregate: Aggregate, now: datetime) -> list[str]:
    query = render(
        statement("doctor/some_symbols"),
        relation=aggregate.parent,
        time=identifier(aggregate.parent_time),
        since=aggregate.time_literal(now - _RECENT - 2 * aggregate.length),
        few=literal(_FEW),
    )
    return [str(symbol) for (symbol,) in connection.execute(query.encode())]


def _certain(connection: Connection, aggregate: Aggregate, lags: list[Lag]) -> list[Lag]:
    """Without buckets that differ only because rows of the parent are gone."""
    other = union(aggregate.buckets(connection, sorted({lag.start for lag in lags if not lag.missing})))
    gone = {one for window in other for one in aggregate.incomplete(connection, window)}
    return [lag for lag in lags if lag.missing or (lag.start, lag.symbol) not in gone]


def _described(lags: list[Lag], symbols: list[str]) -> str:
    missing = sum(lag.missing for lag in lags)
    counts = [f"{missing} are missing"] * bool(missing) + [f"{len(lags) - missing} are out of date"] * (
        missing < len(lags)
    )
    span = f"{lags[0].start:%Y-%m-%d %H:%M} to {lags[-1].start:%Y-%m-%d %H:%M}"
    return f"of its newest buckets of {', '.join(symbols)} {' and '.join(counts)}, {span}"


def _mended(connection: Connection, aggregate: Aggregate, lags: list[Lag]) -> Iterator[str]:
    """Statements that fill what is missing and delete nothing, and what to do where there are none."""
    buckets = aggregate.buckets(connection, [lags[0].start, lags[-1].start])
    window = Range(buckets[0].start, buckets[-1].until)
    again = "load the archives of that time with `candlemill ingest`, which refreshes what nothing is lost by"
    try:
        held = aggregate.held(connection, window)
        doubtful = aggregate.doubtful(connection, held) if held else []
        kept, holders = aggregate.irreplaceable(connection, doubtful)
    except errors.QueryCanceled:
        yield again
        return
    safe = minus([window], kept)
    if safe:
        yield f"run {'; '.join(refreshing(aggregate, part) for part in safe)}"
    if kept:
        yield f"of {', '.join(holders[:_FEW])} it holds rows that {aggregate.parent_name} lacks: {again}"
