"""The newest bars of every series of the work file, and indicators there.

The value at a bar is that over the file's bars up to it, as ``plotting.history`` has it. A panel is aligned at its
newest row, so without its last rows it is the panel of some bars ago: no bar is copied, and all series, of whatever
interval, take each step together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...indicators.contract import Panel
from ...indicators.fields import METRICS_ROWS
from ...indicators.kinds import TIME
from ..base.duck import open_duckdb
from ..base.intervals import INTERVALS, microseconds
from ..base.statements import statement
from ..compute.history import later
from ..compute.pivot import joined, pivot_bars, pivot_metrics
from ..compute.rows import computed
from ..compute.sql import SqlIndicators
from ..plotting.history import Series, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    import duckdb

    from ...indicators.contract import Array, Column, Indicator, Ints, Source
    from ..compute.pivot import Pivot


def read_charts(
    connection: duckdb.DuckDBPyConnection, indicators: Sequence[Indicator], bars: int, as_of: datetime, profile: str
) -> Iterator[tuple[Series, list[Track]]]:
    """Every series of the work file as it is drawn, with the columns of the indicators at its drawn bars.

    Args:
        connection: to the work file.
        indicators: what is drawn; of the market as a whole the file knows nothing, so shares in it have no value.
        bars: the bars of so many of the newest intervals of time are drawn.
        as_of: the moment of the run that wrote the file.
        profile: whose values.
    """
    sources: dict[Source, Sequence[Indicator]] = {
        source: [declared for declared in indicators if declared.source == source] for source in ("candles", "metrics")
    }
    candles = _read(connection, "bars_of_interval")
    metrics = _read(connection, "metrics_of_interval") if sources["metrics"] else {}
    with open_duckdb() as own:
        sql = SqlIndicators(own)
        pivots = [pivot_bars(rows, name, as_of, rows.num_rows) for name, rows in candles.items()]
        found = [_Histories("candles", pivots, sources["candles"], bars, as_of, profile, sql)]
        pivots = [
            pivot_metrics(rows, name, as_of, METRICS_ROWS, rows["symbol"].unique().to_pylist(), {})
            for name, rows in metrics.items()
        ]
        found.append(_Histories("metrics", pivots, sources["metrics"], bars, as_of, profile, sql))
    order = {declared: place for place, declared in enumerate(indicators)}
    for name, table in candles.items():
        interval = INTERVALS[name]
        for symbol, rows in _by_symbol(table):
            begin = pa.scalar(interval.back(rows["bucket_ts"][-1].as_py(), bars))
            count = pc.sum(pc.greater(rows["bucket_ts"], begin)).as_py()
            series = Series(symbol, interval, as_of, rows, rows.slice(0, 0), count, rows.num_rows)
            tracks = [track for histories in found for track in histories.tracks(series)]
            yield series, sorted(tracks, key=lambda track: order[track.indicator])


def _read(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, pa.Table]:
    """The rows of each interval that has some."""
    tables = {
        interval: connection.execute(statement(f"workfile/{name}"), {"interval": interval}).to_arrow_table()
        for interval in INTERVALS
    }
    return {interval: table for interval, table in tables.items() if table.num_rows}


def _by_symbol(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each symbol, which stand together."""
    begin = 0
    for count in pc.value_counts(rows["symbol"]).to_pylist():
        yield count["values"], rows.slice(begin, count["counts"])
        begin += count["counts"]


class _Histories:
    """The values of some indicators at the newest rows of every series of a source."""

    def __init__(
        self,
        source: Source,
        pivots: Sequence[Pivot],
        indicators: Sequence[Indicator],
        rows: int,
        as_of: datetime,
        profile: str,
        sql: SqlIndicators,
    ) -> None:
        #: By indicator its columns, each with the values, shape (rows, series).
        self._values: dict[Indicator, list[tuple[Column, Array]]] = {}
        self._places: dict[tuple[str, str], int] = {}
        if not pivots or not indicators:
            return
        self._panel, columns = joined([pivot.panel for pivot in pivots])
        keys = zip(self._panel.symbols, self._panel.intervals, strict=True)
        self._places = {key: place for place, key in enumerate(keys)}
        self._rows = min(rows, self._panel.rows)
        ranked = pa.concat_tables(
            pivot.ranked.set_column(0, "series", pa.array(places[pivot.ranked["series"].to_numpy()]))
            for pivot, places in zip(pivots, columns, strict=True)
        )
        newest = max((declared.bars_read() for declared in indicators if not declared.compute), default=0)
        for back in range(self._rows):
            panel = _earlier(self._panel, back, source, microseconds(as_of))
            if newest:
                sql.load_ranked(_ranked_earlier(ranked, back, newest), source)
            bars, metrics = (panel, None) if source == "candles" else (None, panel)
            self._keep(back, panel, computed(indicators, bars, metrics, sql, profile=profile))

    def _keep(self, back: int, panel: Panel, found: Iterable[tuple[Indicator, pa.Table]]) -> None:
        for declared, table in found:
            covered = np.flatnonzero(panel.by_interval(declared.covers))
            if declared not in self._values:
                self._values[declared] = [
                    (column, column.kind.blank(self._rows * self._panel.series).reshape(self._rows, -1))
                    for column in declared.columns
                    if column.kind is not TIME
                ]
            for column, values in self._values[declared]:
                values[-1 - back, covered] = table[column.name].to_numpy()

    def tracks(self, series: Series) -> list[Track]:
        """The columns at the drawn bars of a series, in the order of the indicators; all without a row have none."""
        place = self._places.get((series.symbol, series.interval.name))
        if place is None:
            return []
        times = self._panel.time[-self._rows :, place]
        bars = np.minimum(np.searchsorted(series.times, times), series.drawn - 1)
        there = series.times[bars] == times
        tracks = []
        for declared, columns in self._values.items():
            for column, values in columns if declared.covers(series.interval.name) else ():
                placed = column.kind.blank(series.drawn)
                placed[bars[there]] = values[there, place]
                tracks.append(Track(declared, column, placed))
        return tracks


def _earlier(panel: Panel, back: int, source: Source, as_of: int) -> Panel:
    """The panel of the same series some rows ago, without those that had not begun.

    Its 'now' is the last microsecond of each series' newest bar, as far as that has formed; a metrics row is new.
    """
    rows, columns = panel.rows - back, int((panel.lengths > back).sum())
    intervals, newest = panel.intervals[:columns], panel.time[rows - 1, :columns]
    now = newest if source == "metrics" else np.minimum(_ends(newest, intervals), as_of)
    return Panel(
        intervals=intervals,
        as_of=now,
        symbols=panel.symbols[:columns],
        lengths=panel.lengths[:columns] - back,
        time=panel.time[:rows, :columns],
        fields={name: values[:rows, :columns] for name, values in panel.fields.items()},
        totals={name: values[:columns] for name, values in panel.totals.items()},
    )


def _ends(starts: Ints, intervals: Sequence[str]) -> Ints:
    """The last microsecond of each bar; shape (series,)."""
    names = np.array(intervals)
    ends = np.empty_like(starts)
    for name in set(intervals):
        ends[names == name] = later(starts[names == name], INTERVALS[name], 1) - 1
    return ends


def _ranked_earlier(ranked: pa.Table, back: int, newest: int) -> pa.Table:
    """The newest rows of each series some rows ago, in the form of ``Pivot.ranked``."""
    rank = ranked["rn"]
    rows = ranked.filter(pc.and_(pc.greater(rank, back), pc.less_equal(rank, back + newest)))
    for name in ("n", "rn"):
        rows = rows.set_column(rows.column_names.index(name), name, pc.subtract(rows[name], back))
    return rows
