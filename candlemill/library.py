"""Indicators over tables in memory: the library behind ``import candlemill``.

A run reads PostgreSQL and writes files; this computes over what it is given, by the same definitions and over the same
window, so that its values are those of a run to the last bit.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .indicators import evaluate
from .indicators.contract import BAR_FIELDS, METRIC_FIELDS, Indicator
from .indicators.fields import METRICS_ROWS
from .indicators.kinds import TIME, UTC_MICROSECONDS
from .indicators.profiles import PARITY, PROFILES
from .indicators.registry import INDICATORS, register
from .pipeline.base.duck import open_duckdb
from .pipeline.base.intervals import INTERVALS, Interval, before, microseconds
from .pipeline.base.logs import warn_of_left_out
from .pipeline.compute.checks import possible_bars, possible_metrics
from .pipeline.compute.compiler import lanes_pay
from .pipeline.compute.history import END, history_of, series_of_candles, series_of_futures
from .pipeline.compute.pivot import Pivot, market_totals, pivot_bars, pivot_metrics
from .pipeline.compute.sql import SqlIndicators
from .pipeline.record import Observer
from .pipeline.settings import DEFAULT_LOOKBACK
from .pipeline.source.reader import METRICS_WINDOW

if TYPE_CHECKING:
    from .indicators.contract import Array, Floats, Parameters, Values

__all__ = ["compute", "register"]

log = logging.getLogger(__name__)


class ArrowTable(Protocol):
    """A table that speaks the Arrow PyCapsule interface: of polars, pandas, PyArrow, DuckDB and others."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The table as a stream of Arrow batches."""


#: A table, or arrays by the names of their columns.
Table: TypeAlias = "ArrowTable | Mapping[str, Any]"

_TIMES = ("time", "bucket_ts")
_NEEDED = ("open", "high", "low", "close", "volume")


def compute(
    indicator: str | Indicator,
    bars: Table | None = None,
    *,
    interval: str,
    metrics: Table | None = None,
    as_of: datetime | None = None,
    lookback: int = DEFAULT_LOOKBACK,
    profile: str = PARITY,
    history: bool = False,
    **parameters: Any,
) -> pa.Table:
    """The newest value of an indicator for each symbol of a table, or that of every bar, as a run has it.

    To the last bit.

    Args:
        indicator: its id, its table's name, or the indicator itself.
        bars: candles with the columns ``time`` (or ``bucket_ts``), ``open``, ``high``, ``low``, ``close``, ``volume``,
            and where they are known ``quote_volume``, ``trade_count``, ``taker_buy_volume``,
            ``taker_buy_quote_volume``; ``symbol`` tells the series apart, and may be left out for one series. Rows
            come in any order. A time without a zone is in UTC.
        interval: of the bars, such as ``1h``.
        metrics: futures metrics for the indicators that are computed on them, with the columns ``symbol``, ``time``,
            ``open_interest``, ``open_interest_value``, ``top_trader_account_ratio``, ``top_trader_position_ratio``,
            ``global_account_ratio``, ``taker_volume_ratio``, ``is_closed``. The market's totals are those of its rows.
        as_of: looks from this moment, as ``run --as-of`` does: later rows, and those before a run's window, are not
            seen. Left out, all rows are seen, and a rule that needs a 'now' takes the clock's.
        lookback: newest bars of each series that the indicator sees.
        profile: ``parity``, the values of a run, or ``corrected``, those of ``run --profile corrected``.
        history: every bar has a row, with the value that a run as of the end of the bar, less a microsecond, has: it
            sees no later bars, and a metrics row is of age 0.
        parameters: values other than the declaration's defaults, such as ``period=50``.

    Returns:
        A row per symbol, with ``history`` one for each of its bars, the oldest first; the symbols in their order:
        ``symbol``, ``interval``, ``bucket_ts`` (start of the bar) and the indicator's columns; NULL where a series is
        too short or has no value. A series without rows has none.

    Raises:
        ValueError: an argument does not fit, with what to do.
    """
    declared = _found(indicator)
    given = declared.given(parameters)
    chosen = _interval(interval)
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is not one of {', '.join(PROFILES)}")
    if declared.source == "candles" and declared.bars_needed(given, profile) > lookback:
        needed = declared.bars_needed(given, profile)
        raise ValueError(f"{declared.id} needs {needed} bars with these parameters: give lookback={needed} or more")
    if not declared.covers(interval):
        raise ValueError(f"{declared.id} has values at {', '.join(declared.intervals)} only, not at {interval}")
    source = bars if declared.source == "candles" else metrics
    if source is None:
        name = "bars" if declared.source == "candles" else "metrics"
        raise ValueError(f"{declared.id} is computed on {declared.source}: give {name}=")
    if history and (tables := _every_bar(declared, source, chosen, as_of, lookback, given, profile)):
        return pa.concat_tables(tables)
    pivot = (_candles if declared.source == "candles" else _metrics)(source, chosen, as_of, lookback)
    if declared.function(profile) is None:
        values = _in_sql(declared, pivot, given, profile)
    else:
        values = evaluate.compute(declared, pivot.panel, given, profile)
    cells = evaluate.finish(declared, pivot.panel, values, given, profile)
    panel = pivot.panel
    rows = pa.table(
        {
            "symbol": pa.array(panel.symbols, pa.string()),
            "interval": pa.array(panel.intervals, pa.string()),
            "bucket_ts": TIME.arrow(panel.newest_time, np.zeros(panel.series, dtype=np.bool_)),
            **{cell.column.name: cell.arrow() for cell in cells},
        }
    )
    return rows.sort_by("symbol")


def _found(indicator: str | Indicator) -> Indicator:
    if isinstance(indicator, Indicator):
        return INDICATORS.get(indicator.id, indicator)
    for declared in INDICATORS.values():
        if indicator in (declared.id, declared.table, declared.table.removesuffix(".py")):
            return declared
    raise ValueError(f"there is no indicator {indicator!r}{_meant(indicator, list(INDICATORS))}")


def _interval(name: str) -> Interval:
    if name not in INTERVALS:
        raise ValueError(f"there is no interval {name!r}{_meant(name, list(INTERVALS))}")
    return INTERVALS[name]


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {close[0]!r}?" if close else f": there are {', '.join(known)}"


def _candles(bars: Table, interval: Interval, as_of: datetime | None, lookback: int) -> Pivot:
    table = _read(bars, "bars", BAR_FIELDS, _NEEDED)
    if as_of is not None:
        table = _between(table, before(as_of, interval.length, 2 * lookback), as_of)
    possible, left_out = possible_bars(table, interval)
    pivot = pivot_bars(possible, interval.name, as_of or _now(), lookback)
    warn_of_left_out(log, left_out + pivot.skipped)
    return pivot


def _metrics(metrics: Table, interval: Interval, as_of: datetime | None, _: int) -> Pivot:
    table = _read(metrics, "metrics", METRIC_FIELDS, ())
    if as_of is not None:
        table = _between(table, before(as_of, METRICS_WINDOW, 1), as_of)
    possible, left_out = possible_metrics(table)
    symbols = pc.unique(possible["symbol"]).to_pylist()
    pivot = pivot_metrics(possible, interval.name, as_of or _now(), METRICS_ROWS, symbols)
    warn_of_left_out(log, left_out + pivot.skipped)
    return pivot


def _every_bar(
    declared: Indicator,
    source: Table,
    interval: Interval,
    as_of: datetime | None,
    lookback: int,
    given: Parameters,
    profile: str,
) -> list[pa.Table]:
    """A row for each bar, a table for each symbol. Windows are cut from what can be, as for the newest bar."""
    on_candles = declared.source == "candles"
    table = _read(source, "bars", BAR_FIELDS, _NEEDED) if on_candles else _read(source, "metrics", METRIC_FIELDS, ())
    end = END
    if as_of is not None:
        table, end = (
            table.filter(pc.less_equal(table["bucket_ts"], pa.scalar(as_of, UTC_MICROSECONDS))),
            microseconds(as_of),
        )
    possible, left_out = possible_bars(table, interval) if on_candles else possible_metrics(table)
    series, others = (
        series_of_candles(possible, interval, lookback, end)
        if on_candles
        else series_of_futures(possible, interval, METRICS_ROWS, METRICS_WINDOW, end)
    )
    warn_of_left_out(log, left_out + others)
    market: dict[str, Floats] = {}
    moments = np.unique(np.concatenate([np.empty(0, np.int64), *(one.ends for one in series.values())]))
    if declared.totals:
        market = market_totals(possible, interval.name, moments)
    lanes = lanes_pay(sum(len(one.time) for one in series.values()), 1)
    tables: list[pa.Table] = []
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for symbol in sorted(series):
            one = series[symbol]
            totals = {name: values[np.searchsorted(moments, one.ends)] for name, values in market.items()}
            bars, metrics = (one, None) if on_candles else (None, one)
            found = history_of(
                [declared], bars, metrics, int(one.time[0]), END, sql, _Raising(), totals=totals, profile=profile,
                lanes=lanes, parameters={declared: given},
            )  # fmt: skip
            tables += found.values()
    names = ["symbol", "interval", "bucket_ts", *(column.name for column in declared.columns)]
    return [rows.select(names) for rows in tables]


class _Raising(Observer):
    """Lets an error of an indicator end the computation, as it does where the newest values alone are wanted."""

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        raise ValueError(f"{table} failed on {symbol or 'all symbols'} {interval}: {message}")


def _in_sql(declared: Indicator, pivot: Pivot, parameters: Parameters, profile: str) -> Values:
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        sql.load(declared.source, [pivot], newest=declared.bars_read(parameters, profile))
        return sql.compute(declared, pivot.panel, parameters, profile)


def _read(given: Table, name: str, fields: tuple[str, ...], needed: tuple[str, ...]) -> pa.Table:
    """The table with symbol, bucket_ts in UTC and all fields as doubles; those that are not there are NULL."""
    try:
        if isinstance(given, Mapping) and not hasattr(given, "__arrow_c_stream__"):
            table = pa.table({key: _array(values) for key, values in given.items()})
        else:
            table = pa.table(given)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise ValueError(
            f"{name} is neither a table of the Arrow PyCapsule interface nor arrays by name: {error}"
        ) from error
    time = next((column for column in _TIMES if column in table.column_names), None)
    missing = [column for column in needed if column not in table.column_names]
    if time is None or missing:
        raise ValueError(f"{name} lacks the column {missing[0] if missing else 'time'}: name its columns so")
    rows = table.num_rows
    columns = {
        "symbol": _cast(table, "symbol", pa.string()) if "symbol" in table.column_names else pa.repeat("", rows),
        "bucket_ts": _moments(table, time),
        **{
            field: _cast(table, field, pa.float64()) if field in table.column_names else pa.nulls(rows, pa.float64())
            for field in fields
        },
    }
    return pa.table(columns)


def _array(values: Any) -> Array:
    """The values as an array that Arrow takes: it does not know all of NumPy's units of time."""
    array = np.asarray(values)
    return array.astype("datetime64[us]") if array.dtype.kind == "M" else array


def _cast(table: pa.Table, column: str, kind: pa.DataType) -> pa.ChunkedArray:
    found = table[column]
    try:
        if pa.types.is_dictionary(found.type):
            # Decoded here, as Arrow cannot take from every type of text.
            parts = [chunk.dictionary.cast(kind).take(chunk.indices) for chunk in found.chunks]
            return pa.chunked_array(parts, kind)
        return found.cast(kind)
    except pa.ArrowException as error:
        raise ValueError(f"the column {column} ({table[column].type}) is not of type {kind}: {error}") from error


def _moments(table: pa.Table, column: str) -> pa.ChunkedArray:
    """The times of a table; those without a zone are in UTC."""
    kind = table[column].type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ValueError(f"the column {column} is {kind}: give times, such as datetime64 or a timestamp")
    if pa.types.is_timestamp(kind) and kind.tz:
        return table[column].cast(UTC_MICROSECONDS, safe=False)
    return table[column].cast(pa.timestamp("us"), safe=False).cast(UTC_MICROSECONDS)


def _between(table: pa.Table, after: datetime, until: datetime) -> pa.Table:
    bounds = [pa.scalar(moment, UTC_MICROSECONDS) for moment in (after, until)]
    return table.filter(
        pc.and_(pc.greater(table["bucket_ts"], bounds[0]), pc.less_equal(table["bucket_ts"], bounds[1]))
    )


def _now() -> datetime:
    return datetime.now(UTC)
