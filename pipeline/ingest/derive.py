"""What follows from loaded rows: coarser candles from 1m bars, and on TimescaleDB the past of the aggregates.

A source keeps coarser candles as continuous aggregates over 1m, or as tables of their own. Aggregates are refreshed
over the time that was loaded. Tables get the bars that they have not from elsewhere, so that 1m archives alone are
enough for a run over all intervals.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval
from ..base.statements import Sql, identifier, literal, render, statement
from ..source.reader import METRICS_5M

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from .report import SeriesReport

log = logging.getLogger(__name__)

#: Marks the rows that were built here: no others are ever replaced by built ones.
BUILT = "built_from_1m"

_COARSER = tuple(INTERVALS[name] for name in DEFAULT_INTERVALS if name != "1m")


def derive(
    door: psycopg.Connection[tuple[object, ...]],
    exchange: str,
    relations: Mapping[str, bool],
    loaded: Sequence[SeriesReport],
) -> dict[str, int]:
    """Bring up to date what is made from loaded series.

    Args:
        door: a connection in autocommit.
        exchange: of the series.
        relations: candle and metrics relations by name; True for a table, False for a view.
        loaded: the series.

    Returns:
        By table, how many bars were built or built anew.
    """
    minutes = [series for series in loaded if series.table == "candles_1m"]
    metrics = [series for series in loaded if series.table == METRICS_5M]
    aggregates = _aggregates(door)
    built = {}
    for interval in _COARSER:
        if minutes and relations.get(interval.candles):
            rows = sum(_build(door, exchange, interval, series) for series in minutes)
            if rows:
                log.info("built %d bars of %s from candles_1m", rows, interval.candles)
                built[interval.candles] = rows
        if minutes and interval.candles in aggregates:
            _refresh(door, interval.candles, interval, minutes, Sql("timestamptz"))
        last = f"binance_futures_metrics_{interval.name}_last"
        if metrics and last in aggregates:
            _refresh(door, last, interval, metrics, Sql("timestamp"))
    return built


def _build(
    door: psycopg.Connection[tuple[object, ...]], exchange: str, interval: Interval, series: SeriesReport
) -> int:
    query = render(
        statement("ingest/build_bars"), relation=identifier(interval.candles), bucket=literal(interval.bucket)
    )
    parameters = {
        "exchange": exchange,
        "symbol": series.symbol,
        "first": series.first,
        "last": series.last,
        "source": BUILT,
    }
    return door.execute(query.encode(), parameters).rowcount


def _aggregates(door: psycopg.Connection[tuple[object, ...]]) -> set[str]:
    there = door.execute("SELECT to_regclass('timescaledb_information.continuous_aggregates') IS NOT NULL").fetchone()
    if there != (True,):
        return set()
    return {str(name) for (name,) in door.execute(statement("ingest/aggregates").encode())}


def _refresh(
    door: psycopg.Connection[tuple[object, ...]],
    view: str,
    interval: Interval,
    loaded: Sequence[SeriesReport],
    kind: Sql,
) -> None:
    # Only whole buckets within the window are refreshed: two lengths to either side hold one at least. The bucket that
    # is still forming stays outside, because it would then no longer follow the 1m bars.
    start = min(series.first for series in loaded) - 2 * interval.length
    until = min(max(series.last for series in loaded) + 2 * interval.length, datetime.now(UTC))
    log.info("refreshing %s", view)
    query = render(
        statement("ingest/refresh"),
        view=literal(f"market_data.{view}"),
        type=kind,
        start=literal(start),
        until=literal(until),
    )
    door.execute(query.encode())
