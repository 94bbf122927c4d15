"""Coarser intervals out of finer ones, in DuckDB, for sources that do not keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.duck import open_duckdb
from ..base.statements import statement

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from ..base.intervals import Interval


def build_bars(minutes: pa.RecordBatchReader, interval: Interval, after: datetime, until: datetime) -> pa.Table:
    """Bars of an interval that start after one moment and not after another, from a stream of 1m bars."""
    with open_duckdb() as door:
        door.register("minutes", minutes)
        window = {"bucket": interval.bucket, "after": after, "until": until}
        return door.execute(statement("source/build_bars"), window).to_arrow_table()


def build_metrics(five_minutes: pa.Table, interval: Interval, after: datetime) -> pa.Table:
    """Metrics of an interval whose buckets start after a moment, from 5m metrics: the last row of each bucket."""
    with open_duckdb() as door:
        door.register("five_minutes", five_minutes)
        built = door.execute(statement("source/build_metrics"), {"bucket": interval.bucket, "after": after})
        return built.to_arrow_table()
