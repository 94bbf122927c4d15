"""Coarser candles from loaded 1m bars, where an interval has a table of its own.

A table gets the bars that it has not from elsewhere, so that 1m archives alone are enough for a run over all intervals.
Where coarser candles are aggregates of TimescaleDB, ``refresh`` sees to them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..base.intervals import DEFAULT_INTERVALS, INTERVALS, Interval
from ..base.statements import identifier, literal, render, statement
from ..source.aggregates import row_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from .report import SeriesReport

log = logging.getLogger(__name__)

#: Marks the rows that were built here: no others are ever replaced by built ones.
BUILT = "built_from_1m"

_COARSER = tuple(INTERVALS[name] for name in DEFAULT_INTERVALS if name != "1m")


def derive(
    connection: psycopg.Connection[tuple[object, ...]],
    exchange: str,
    relations: Mapping[str, bool],
    loaded: Sequence[SeriesReport],
) -> dict[str, int]:
    """Build the coarser bars of loaded series.

    Args:
        connection: a connection in autocommit.
        exchange: of the series.
        relations: candle and metrics relations by name; True for a table, False for a view.
        loaded: the series.

    Returns:
        By table, how many bars were built or built anew.
    """
    minutes = [series for series in loaded if series.table == "candles_1m"]
    built = {}
    for interval in _COARSER:
        if minutes and relations.get(interval.candles):
            rows = sum(_build(connection, exchange, interval, series) for series in minutes)
            if rows:
                log.info("built %d bars of %s from candles_1m", rows, interval.candles)
                built[interval.candles] = rows
    return built


def _build(
    connection: psycopg.Connection[tuple[object, ...]], exchange: str, interval: Interval, series: SeriesReport
) -> int:
    query = render(
        statement("ingest/build_bars"), relation=identifier(interval.candles), bucket=literal(interval.bucket)
    )
    built = 0
    for stretch in series.stretches:
        parameters = {
            "exchange": exchange,
            "symbol": series.symbol,
            "first": stretch.start,
            "last": stretch.until - row_step(series.table),
            "source": BUILT,
        }
        built += connection.execute(query.encode(), parameters).rowcount
    return built
