"""What is drawn: a series of the work file, and its indicators at every drawn bar.

The work file keeps of each indicator the newest value only. The value at an earlier bar is the value over the bars that
end there, and the windows that end at each bar are series of a panel like any other: they take the way that the bars of
a run take. A window begins where the file's bars begin, so an early one is shorter than what a run saw at its time.

Where there is a source, it has as many bars as are asked for, and the windows of a run at each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...indicators.contract import BAR_FIELDS, Panel
from ...indicators.kinds import TIME
from ...indicators.profiles import PARITY
from ...indicators.registry import INDICATORS
from ..base.errors import NoCandlesError
from ..base.folders import temporary_folder
from ..base.intervals import INTERVALS, Interval, microseconds
from ..base.statements import statement
from ..compute.pivot import pivot_bars, pivot_metrics
from ..compute.rows import computed
from ..history import read_history
from ..settings import unknown
from ..workfile.writer import WorkFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import duckdb

    from ...indicators.contract import Array, Column, Floats, Indicator, Ints
    from ..settings import Settings


@dataclass(frozen=True)
class Series:
    """The bars and metrics of a symbol at an interval, oldest first.

    Attributes:
        as_of: what stands for 'now'.
        candles: ``bucket_ts`` and the fields of the bars.
        metrics: the same of the metrics rows.
        drawn: how many of the bars are drawn, the newest.
        window: bars that the newest value of an indicator is computed over, at most.
    """

    symbol: str
    interval: Interval
    as_of: datetime
    candles: pa.Table
    metrics: pa.Table
    drawn: int
    window: int

    @property
    def times(self) -> Ints:
        """Starts of the drawn bars, microseconds since the epoch, shape (drawn,)."""
        return _times(self.candles)[-self.drawn :]

    def field(self, name: str) -> Array:
        """A field of the drawn bars, float64 with NaN for NULL, shape (drawn,)."""
        return self._field(name)[-self.drawn :]

    def window_panel(self, names: Sequence[str]) -> Panel:
        """A panel of some fields of the bars that the newest values are computed over."""
        time = _times(self.candles)[-self.window :, None]
        return Panel(
            intervals=[self.interval.name],
            as_of=microseconds(self.as_of),
            symbols=[self.symbol],
            lengths=np.array([len(time)]),
            time=time,
            fields={name: self._field(name)[-self.window :, None] for name in names},
        )

    def _field(self, name: str) -> Floats:
        values: Floats = self.candles[name].cast(pa.float64()).to_numpy()
        return values


@dataclass(frozen=True)
class Track:
    """One column of an indicator at every drawn bar: float64 with NaN, or texts with None, shape (drawn,)."""

    indicator: Indicator
    column: Column
    values: Array

    @property
    def name(self) -> str:
        """Its name in a legend."""
        return f"{self.indicator.id}.{self.column.name}"


def read_series(connection: duckdb.DuckDBPyConnection, symbol: str, interval: Interval, bars: int) -> Series:
    """A series of the work file, of which the bars of the newest ``bars`` intervals of time are drawn.

    Raises UsageError for a symbol that the file does not have, NoCandlesError where it has no bars at the interval.
    """
    named = {"symbol": symbol, "interval": interval.name}
    candles = connection.execute(statement("workfile/bars"), named).to_arrow_table()
    if not candles.num_rows:
        raise _missing(connection, symbol, interval)
    metrics = connection.execute(statement("workfile/metrics"), named).to_arrow_table()
    as_of = (
        connection.execute("SELECT max_by(as_of, started_at) AS as_of FROM runs").to_arrow_table()["as_of"][0].as_py()
    )
    begin = interval.back(candles["bucket_ts"][-1].as_py(), bars)
    drawn = pc.sum(pc.greater(candles["bucket_ts"], pa.scalar(begin))).as_py()
    return Series(symbol, interval, as_of, candles, metrics, drawn, candles.num_rows)


def read_drawn(settings: Settings, bars: int) -> tuple[Series, list[Track]]:
    """A series of the source, drawn at its newest bars, and the indicators there: what ``read_history`` computes.

    Args:
        settings: the source, one symbol and one interval, the indicators, as of when.
        bars: most that are drawn.

    Raises SourceError, NoCandlesError and UsageError as ``read_history`` does.
    """
    bar, columns = _of_the_bar()
    rows = read_history(replace(settings, indicators=tuple(dict.fromkeys([*settings.indicators, bar]))), bars)
    of_bars = rows
    if any(declared.by_price for declared in settings.indicators) and bars < settings.lookback:
        # A profile is drawn over more bars than are drawn.
        of_bars = read_history(replace(settings, indicators=(bar,)), settings.lookback)
    candles = pa.table({
        "bucket_ts": of_bars["bucket_ts"],
        **{name: of_bars[f"{bar.id}_{column}"] for name, column in columns.items()},
    })  # fmt: skip
    [interval] = settings.intervals
    symbol = rows["symbol"][0].as_py()
    series = Series(symbol, interval, settings.as_of, candles, rows.slice(0, 0), rows.num_rows, settings.lookback)
    return series, [
        Track(indicator, column, _valued(rows[f"{indicator.id}_{column.name}"], column))
        for indicator in settings.indicators
        for column in indicator.columns
        if column.kind is not TIME
    ]


def _of_the_bar() -> tuple[Indicator, dict[str, str]]:
    """The indicator that has every field of the bar, and the name of each field's column there."""
    for indicator in INDICATORS.values():
        columns = {column.role.field: column.name for column in indicator.columns if column.role.field}
        if set(columns) >= set(BAR_FIELDS):
            return indicator, {name: columns[name] for name in BAR_FIELDS}
    raise LookupError("no indicator has the role of a bar's field for each of them")


def _valued(values: pa.ChunkedArray, column: Column) -> Array:
    placed = column.kind.blank(len(values))
    for place, value in enumerate(values.to_pylist()):
        if value is not None:
            placed[place] = value
    return placed


def _missing(connection: duckdb.DuckDBPyConnection, symbol: str, interval: Interval) -> Exception:
    found = connection.execute('SELECT DISTINCT symbol, "interval" FROM candles ORDER BY symbol').fetchall()
    there = {name for of, name in found if of == symbol}
    if not there:
        return unknown("symbol", symbol, list(dict.fromkeys(of for of, _ in found)))
    others = ", ".join(name for name in INTERVALS if name in there)
    return NoCandlesError(f"the last run read no {interval.name} candles of {symbol}: it read {others}")


def tracks(series: Series, indicators: Sequence[Indicator], profile: str = PARITY) -> list[Track]:
    """The columns of some indicators at every drawn bar, in their order, moments excepted; ``profile``: whose values.

    Of the market as a whole the file knows nothing: a share in its totals has no value.
    """
    name, as_of = series.interval.name, series.as_of
    bars = pivot_bars(_windows(series.candles, series.drawn), name, as_of, series.candles.num_rows)
    windows = _windows(series.metrics, int((_times(series.metrics) >= series.times[0]).sum()))
    metrics = pivot_metrics(windows, name, as_of, series.metrics.num_rows, _symbols(windows), {})
    with temporary_folder("candlemill-plot-") as folder, WorkFile(folder / "history.duckdb", 1, "") as work:
        work.load("candles", [bars])
        work.load("metrics", [metrics])
        found = dict(computed(indicators, bars.panel, metrics.panel, work, profile=profile))
    return [
        Track(indicator, column, _placed(rows, column, series.times))
        for indicator, rows in found.items()
        for column in indicator.columns
        if column.kind is not TIME
    ]


def _windows(rows: pa.Table, count: int) -> pa.Table:
    """For each of the newest ``count`` rows all rows up to it, under a symbol of their own."""
    lengths = np.arange(rows.num_rows - count, rows.num_rows) + 1
    chosen = rows.take(np.concatenate([np.arange(0), *(np.arange(length) for length in lengths)]))
    symbols = pa.array(np.repeat(lengths, lengths)).cast(pa.string())
    return chosen.set_column(chosen.column_names.index("symbol"), "symbol", symbols)


def _symbols(rows: pa.Table) -> list[str]:
    found: list[str] = rows["symbol"].unique().to_pylist()
    return found


def _placed(rows: pa.Table, column: Column, times: Ints) -> Array:
    """A result column at the drawn bars; a row whose time is no bar's is left out, a bar without a row has no value."""
    placed = column.kind.blank(len(times))
    places = {time: place for place, time in enumerate(times.tolist())}
    for time, value in zip(_times(rows).tolist(), rows[column.name].to_pylist(), strict=True):
        if value is not None and time in places:
            placed[places[time]] = value
    return placed


def _times(rows: pa.Table) -> Ints:
    times: Ints = rows["bucket_ts"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return times
