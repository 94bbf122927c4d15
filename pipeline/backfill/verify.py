"""Windows that are computed a second time, by the definition: as a run does it, over the bars that it would see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...indicators.fields import METRICS_ROWS
from ...indicators.kinds import UTC_MICROSECONDS
from ..base.duck import open_duckdb
from ..base.intervals import INTERVALS, MICROSECOND, moment
from ..compute.checks import possible_bars, possible_metrics
from ..compute.history import later
from ..compute.pivot import pivot_bars, pivot_metrics
from ..compute.rows import computed
from ..compute.sql import SqlIndicators
from ..source.reader import METRICS_WINDOW
from .export import TOTAL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...indicators.contract import Panel
    from .task import Task

    #: A file as it is read: of the file system, or opened elsewhere.
    Held: TypeAlias = Path | pa.NativeFile


class DifferenceError(Exception):
    """A value in a file is not the definition's."""


def check(task: Task, bars: pa.Table, metrics: pa.Table | None, files: Mapping[str, Held], windows: int) -> None:
    """Compare the rows of random windows with the definition's.

    Args:
        task: whose rows they are.
        bars: exported for it.
        metrics: likewise; None: there are none.
        files: of the task's rows, by indicator.
        windows: how many of candles, and how many of metrics.

    Raises:
        DifferenceError: a value, or a row, is not the one of the definition.
    """
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for source, table in (("candles", bars), ("metrics", metrics)):
            declared = [one for one in task.declared if one.source == source]
            stored = {one.id: files[one.id] for one in declared if one.id in files}
            if table is None or not stored:
                continue
            chosen = _chosen(next(iter(stored.values())), windows)
            held = {name: _rows(file, chosen) for name, file in stored.items()}
            for symbol, time in chosen:
                alone = _series(table, symbol)
                if source == "candles":
                    panel = _candles(task, alone, time, sql)
                    rows = computed(declared, panel, None, sql, profile=task.profile)
                else:
                    panel = _metrics(task, alone, time, sql)
                    rows = computed(declared, None, panel, sql, profile=task.profile)
                for one, row in rows:
                    _compare(one.id, symbol, task.interval, time, row, held.get(one.id, {}).get((symbol, time)))


def _chosen(file: Held, windows: int) -> list[tuple[str, int]]:
    """Random rows of a file: symbol, and time in microseconds since the epoch."""
    keys = pq.read_table(file, columns=["symbol", "bucket_ts"], use_threads=False)
    places = np.random.default_rng().permutation(keys.num_rows)[:windows]
    taken = keys.take(pa.array(np.sort(places)))
    times = taken["bucket_ts"].cast(pa.int64()).to_pylist()
    return list(zip(taken["symbol"].to_pylist(), times, strict=True))


def _rows(file: Held, chosen: list[tuple[str, int]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Some rows of a file, by symbol and time."""
    times = pa.array(sorted({time for _, time in chosen}), pa.int64()).cast(UTC_MICROSECONDS)
    symbols = sorted({symbol for symbol, _ in chosen})
    asked = pc.field("symbol").isin(symbols) & pc.field("bucket_ts").isin(times)
    found = pq.read_table(file, filters=asked, use_threads=False)
    keys = zip(found["symbol"].to_pylist(), found["bucket_ts"].cast(pa.int64()).to_pylist(), strict=True)
    values = found.drop_columns(["symbol", "bucket_ts"]).to_pylist()
    return dict(zip(keys, values, strict=True))


def _series(table: pa.Table, symbol: str) -> pa.Table:
    return table.filter(pc.equal(table["symbol"], symbol))


def _window(table: pa.Table, after: int, until: int) -> pa.Table:
    """The rows later than one moment and not later than another."""
    time = table["bucket_ts"]
    bounds = [pa.scalar(value, pa.int64()).cast(UTC_MICROSECONDS) for value in (after, until)]
    return table.filter(pc.and_(pc.greater(time, bounds[0]), pc.less_equal(time, bounds[1])))


def _end(task: Task, time: int) -> int:
    return int(later(np.array([time]), INTERVALS[task.interval], 1)[0]) - 1


def _candles(task: Task, table: pa.Table, time: int, sql: SqlIndicators) -> Panel:
    """The panel of a run as of the end of a bar, less a microsecond, loaded for SQL, too."""
    interval, end = INTERVALS[task.interval], _end(task, time)

    def back(bars: int) -> int:
        return int(later(np.array([end]), interval, -bars)[0])

    # As the source counts: of a symbol that has them all nothing older is sent.
    counted = _window(table, back(task.lookback + task.forming), back(task.forming))
    complete = len(counted["bucket_ts"].unique()) >= task.lookback
    after = back(task.lookback + task.forming if complete else 2 * task.lookback)
    possible, _ = possible_bars(_window(table, after, end), interval)
    pivot = pivot_bars(possible, task.interval, moment(end), task.lookback)
    sql.load("candles", [pivot])
    return pivot.panel


def _metrics(task: Task, table: pa.Table, time: int, sql: SqlIndicators) -> Panel:
    """The panel of the metrics of a run likewise, looked at from the time of its newest row."""
    end = _end(task, time)
    window = _window(table, end - METRICS_WINDOW // MICROSECOND, time)
    possible, _ = possible_metrics(window)
    newest = _window(window, time - 1, time)
    totals = {
        name.removeprefix(TOTAL): newest[name].to_pylist()[0] for name in table.column_names if name.startswith(TOTAL)
    }
    symbols = possible["symbol"].unique().to_pylist()
    pivot = pivot_metrics(possible, task.interval, moment(time), METRICS_ROWS, symbols, totals)
    sql.load("metrics", [pivot])
    return pivot.panel


def _compare(
    indicator: str, symbol: str, interval: str, time: int, row: pa.Table, held: Mapping[str, Any] | None
) -> None:
    where = f"{indicator} of {symbol} at {interval}, {moment(time).isoformat()}"
    if held is None:
        raise DifferenceError(f"{where}: the row is missing")
    for name, stored in held.items():
        [defined] = row[name].to_pylist()
        # By what it is written as, which tells all doubles apart, those of the sign of 0, too.
        if repr(defined) != repr(stored):
            raise DifferenceError(f"{where}: {name} is {stored!r}, and {defined!r} by the definition")
