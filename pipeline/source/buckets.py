"""Coarser intervals out of finer ones, in DuckDB, for sources that do not keep them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ..base.duck import open_duckdb
from ..base.intervals import before
from ..base.statements import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    import pyarrow as pa

    from ..base.intervals import Interval


#: 1m bars that are read at once, as far as their number can be foreseen.
PART_ROWS = 500_000
#: How long the newest part is, and how many times as long as one the next may be.
_FIRST_PART, _GROWTH = timedelta(days=1), 4


def in_parts(
    read: Callable[[datetime, datetime], pa.Table], interval: Interval, after: datetime, until: datetime
) -> list[pa.Table]:
    """Pieces of the bars of an interval, from the 1m bars of a window.

    The 1m bars are read from the newest to the oldest, in parts that are as long as there are bars in the part before;
    of each part only the pieces are kept. ``read`` is given the ends of a part, the earlier one excluded.
    """
    pieces, span = [], _FIRST_PART
    while until > after:
        begin = max(after, before(until, span, 1))
        minutes = read(begin, until)
        pieces.append(_pieces(minutes, interval))
        span = (until - begin) * min(_GROWTH, PART_ROWS / max(1, minutes.num_rows))
        until = begin
    return pieces


def _pieces(minutes: pa.Table, interval: Interval) -> pa.Table:
    with open_duckdb() as connection:
        connection.register("minutes", minutes)
        return connection.execute(statement("source/build_pieces"), {"bucket": interval.bucket}).to_arrow_table()


def build_bars(pieces: Sequence[pa.Table], interval: Interval, after: datetime, until: datetime) -> pa.Table:
    """Bars of an interval that start after one moment and not after another, from pieces of them."""
    import pyarrow as pa

    with open_duckdb() as connection:
        connection.register("pieces", pa.concat_tables(pieces))
        window = {"bucket": interval.bucket, "after": after, "until": until}
        return connection.execute(statement("source/build_bars"), window).to_arrow_table()


def complete(bars: pa.Table, most: int) -> set[str]:
    """The symbols that have so many bars."""
    found = bars.group_by("symbol").aggregate([([], "count_all")])
    counted = zip(found["symbol"].to_pylist(), found["count_all"].to_pylist(), strict=True)
    return {symbol for symbol, count in counted if symbol is not None and count >= most}


def without(bars: pa.Table, symbols: Collection[str], until: datetime) -> pa.Table:
    """The bars without those that some symbols have up to a moment."""
    import pyarrow as pa
    import pyarrow.compute as pc

    later = pc.greater(bars["bucket_ts"], pa.scalar(until, bars.schema.field("bucket_ts").type))
    return bars.filter(pc.or_(later, pc.invert(pc.is_in(bars["symbol"], pa.array(symbols, pa.string())))))


def build_metrics(five_minutes: pa.Table, interval: Interval, after: datetime) -> pa.Table:
    """Metrics of an interval whose buckets start after a moment, from 5m metrics: the last row of each bucket."""
    with open_duckdb() as connection:
        connection.register("five_minutes", five_minutes)
        built = connection.execute(statement("source/build_metrics"), {"bucket": interval.bucket, "after": after})
        return built.to_arrow_table()
