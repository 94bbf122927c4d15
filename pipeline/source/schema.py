"""``init-db``: the source schema, on TimescaleDB where the extension is there, on plain PostgreSQL otherwise."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg

from ..base.errors import SourceError, one_line
from ..base.intervals import DEFAULT_INTERVALS, INTERVALS
from ..base.statements import Sql, identifier, literal, render, statement
from .session import session
from .urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

_COARSER = tuple(name for name in DEFAULT_INTERVALS if name != "1m")
_COARSER_METRICS = tuple(name for name in _COARSER if name != "5m")


def init_db(url: str) -> list[str]:
    """Create what is missing of the schema market_data, and return what was created. Raises SourceError.

    Every statement is its own transaction: TimescaleDB refuses some of them inside one.
    """
    made = []
    try:
        with session(url, writes=True) as door:
            there = {name for (name,) in door.execute(statement("schema/existing").encode())}
            hypertables = bool(door.execute(statement("schema/has_timescaledb").encode()).fetchall())
            for name, query in _statements(hypertables):
                if name and name in there:
                    continue
                door.execute(query.encode())
                if name:
                    log.info("created market_data.%s", name)
                    made.append(name)
    except psycopg.Error as error:
        raise SourceError(
            f"the schema could not be created in {redacted(url)}: {one_line(error)}; "
            "check the URL, and that the role may create a schema"
        ) from error
    return made


def plain_candles(interval: str) -> list[tuple[str, Sql]]:
    """An interval's table and its index by time: (relation that the statement creates, or nothing; the statement)."""
    name = f"candles_{interval}"
    index = render(
        statement("schema/plain/candles_index"), index=identifier(f"{name}_bucket_ts"), relation=identifier(name)
    )
    return [(name, render(statement("schema/candles"), relation=identifier(name))), ("", index)]


def _statements(hypertables: bool) -> Iterator[tuple[str, Sql]]:
    """(relation that the statement creates, or nothing; the statement), in order."""
    yield "", statement("schema/schema")
    kind = "timescale" if hypertables else "plain"
    for name in DEFAULT_INTERVALS if not hypertables else ("1m",):
        table, index = plain_candles(name)
        yield table
        if not hypertables:
            yield index
    yield "binance_futures_metrics_5m", statement("schema/metrics")
    if hypertables:
        for step in ("candles_hypertable", "candles_compression", "candles_policies", "metrics_hypertable"):
            yield "", statement(f"schema/timescale/{step}")
        for name in _COARSER:
            yield f"candles_{name}", _aggregate("candles", f"candles_{name}", name)
            yield "", _policy(f"candles_{name}", name)
    for name in _COARSER_METRICS:
        view = f"binance_futures_metrics_{name}_last"
        if hypertables:
            yield view, _aggregate("metrics", view, name)
            yield "", _policy(view, name)
        else:
            yield (
                view,
                render(
                    statement(f"schema/{kind}/metrics_last"),
                    view=identifier(view),
                    bucket=literal(INTERVALS[name].bucket),
                ),
            )


def _aggregate(what: str, view: str, interval: str) -> Sql:
    return render(
        statement(f"schema/timescale/{what}_aggregate"),
        view=identifier(view),
        bucket=literal(INTERVALS[interval].bucket),
    )


def _policy(view: str, interval: str) -> Sql:
    seconds = int(INTERVALS[interval].length.total_seconds())
    return render(
        statement("schema/timescale/aggregate_policy"),
        view=literal(f"market_data.{view}"),
        start=literal(f"{4 * seconds} seconds"),
        every=literal(f"{max(60, seconds // 4)} seconds"),
    )
