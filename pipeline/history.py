"""The history of some symbols, read from the source: what a run at each of the newest bars would have computed.

A run as of the end of a bar, less a microsecond, computes the same value for it, where the source has not corrected any
bar since. The bar that forms is as a run now sees it. A metrics row is looked at when it is new: its age is 0.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ..indicators.fields import METRICS_ROWS
from .base.duck import open_duckdb
from .base.errors import NoCandlesError
from .base.intervals import microseconds, moment
from .base.logs import warn_of_left_out
from .compute.checks import possible_metrics
from .compute.compiler import lanes_pay
from .compute.history import END, history_of, series_of_candles, series_of_futures
from .compute.pivot import market_totals
from .compute.sql import SqlIndicators
from .source.reader import METRICS_WINDOW, Newer, Source
from .source.symbols import meant, symbols_to_read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..indicators.contract import Column, Floats, Indicator, Ints
    from .base.intervals import Interval
    from .compute.history import Series
    from .settings import Settings

log = logging.getLogger(__name__)

_HOUR = timedelta(hours=1)


def read_history(settings: Settings, bars: int) -> pa.Table:
    """A row for each of the newest bars of some symbols at one interval.

    Args:
        settings: what to compute, of which symbols, as of when; its first interval counts.
        bars: most rows of a symbol. They are of the newest ``2 * bars`` intervals of time, as a run looks for its
            lookback in twice the time.

    Returns:
        ``symbol``, ``interval``, ``bucket_ts`` and, for each column of each indicator, ``<indicator>_<column>``; the
        symbols in their order, of each the oldest bar first. NULL where an indicator has no value at a bar.

    Raises:
        SourceError: the source cannot be read.
        NoCandlesError: no symbol has candles.
        UsageError: the symbols cannot be chosen.
    """
    interval = settings.intervals[0]
    source = Source.connect(settings.source)
    symbols = symbols_to_read(settings, source)
    as_of = microseconds(settings.as_of)
    table = source.candles(
        interval, settings.exchange, symbols, settings.as_of, bars + settings.lookback, settings.closed_only
    )
    candles, skipped = series_of_candles(table, interval, settings.lookback, as_of, source.forming(interval))
    warn_of_left_out(log, skipped)
    begin = microseconds(interval.back(settings.as_of, 2 * bars))
    drawn = {symbol: one.time[one.ends > begin][-bars:] for symbol, one in candles.items()}
    drawn = {symbol: times for symbol, times in drawn.items() if len(times)}
    _report_unseen(source, settings, symbols, drawn)
    since = {symbol: int(times[0]) for symbol, times in drawn.items()}
    metrics: dict[str, Series] = {}
    totals: dict[str, dict[str, Floats]] = {}
    if any(declared.source == "metrics" and declared.covers(interval.name) for declared in settings.indicators):
        metrics, totals = _metrics(source, interval, settings.as_of, since)
    lanes = lanes_pay(sum(map(len, drawn.values())), len(settings.indicators))
    tables = []
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for symbol, times in drawn.items():
            rows = history_of(
                settings.indicators,
                candles[symbol],
                metrics.get(symbol),
                since[symbol],
                END,
                sql,
                totals=totals.get(symbol),
                profile=settings.profile,
                lanes=lanes,
            )
            tables.append(_beside(settings.indicators, symbol, interval, times, rows))
    return pa.concat_tables(tables)


def _metrics(
    source: Source, interval: Interval, as_of: datetime, since: Mapping[str, int]
) -> tuple[dict[str, Series], dict[str, dict[str, Floats]]]:
    """The metrics of some symbols, each from the window of its first bar on, and the market's totals at their rows."""
    first = moment(min(since.values()))
    # Of the whole market what the totals count; of these symbols also the rows of a window before it.
    begin = first - max(_HOUR, interval.length)
    late = dict.fromkeys(since, min(begin, first - METRICS_WINDOW))
    table = source.metrics(interval, as_of, Newer(begin, late))
    if table is None:
        log.warning("%s: the source has no futures metrics", interval.name)
        return {}, {}
    possible, skipped = possible_metrics(table)
    found, others = series_of_futures(possible, interval, METRICS_ROWS, METRICS_WINDOW, microseconds(as_of))
    warn_of_left_out(log, skipped + others)
    series = {symbol: found[symbol] for symbol in since if symbol in found}
    ends = [one.ends[one.time >= since[symbol]] for symbol, one in series.items()]
    moments = np.unique(np.concatenate([*ends, np.empty(0, np.int64)]))
    market = market_totals(possible, interval.name, moments)

    def at(one: Series, totals: Floats) -> Floats:
        values = np.full(len(one.time), np.nan)
        wanted = one.time >= since[one.symbol]
        values[wanted] = totals[np.searchsorted(moments, one.ends[wanted])]
        return values

    return series, {
        symbol: {name: at(one, totals) for name, totals in market.items()} for symbol, one in series.items()
    }


def _beside(
    indicators: Sequence[Indicator], symbol: str, interval: Interval, times: Ints, rows: Mapping[Indicator, pa.Table]
) -> pa.Table:
    """The rows of all indicators at some bars, one beside the other."""
    columns = {
        "symbol": pa.repeat(symbol, len(times)),
        "interval": pa.repeat(interval.name, len(times)),
        "bucket_ts": pa.array(times).cast(pa.timestamp("us", "UTC")),
    }
    for declared in indicators:
        table = rows.get(declared)
        known = np.empty(0, np.int64) if table is None else table["bucket_ts"].cast(pa.int64()).to_numpy()
        places = np.searchsorted(known, times)
        there = places < len(known)
        there[there] = known[places[there]] == times[there]
        index = pa.array(places, mask=~there)
        for column in declared.columns:
            values = _blank(column, 0) if table is None else table[column.name].combine_chunks()
            columns[f"{declared.id}_{column.name}"] = values.take(index)
    return pa.table(columns)


def _blank(column: Column, rows: int) -> pa.Array:
    """A column that is NULL everywhere, of the type that it has."""
    null = np.ones(rows, dtype=np.bool_)
    return column.kind.arrow(column.kind.finished(column.kind.blank(rows), null), null)


def _report_unseen(source: Source, settings: Settings, symbols: Sequence[str] | None, found: Iterable[str]) -> None:
    """Say which symbols have no candles, and what was meant. Raises NoCandlesError where none has any."""
    there = set(found)
    missing = [symbol for symbol in symbols or () if symbol not in there]
    if there and not missing:
        return
    known = source.symbols(settings.exchange, settings.intervals[:1], settings.as_of, settings.lookback)
    where = f"at {settings.intervals[0].name} before {settings.as_of.isoformat()}"
    if there:
        for symbol in missing:
            hint = meant([symbol], known)
            log.warning("no candles for %s %s%s", symbol, where, f": {hint}" if hint else "")
        return
    asked = ", ".join(missing[:5]) or "any symbol"
    hint = meant(missing, known) or "check the symbols, --exchange, --interval and --as-of"
    raise NoCandlesError(f"no candles {where} for {asked}: {hint}")
