"""Bars and metrics of a range of time, read from the source once: what tasks compute from.

A slot's bars begin as far before its first bar as a window reaches back. Metrics come in pieces of some time for all
symbols at once, as their totals are the market's.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...indicators.kinds import UTC_MICROSECONDS
from ..base.errors import SourceError
from ..base.intervals import MICROSECOND, microseconds, moment
from ..base.logs import warn_of_left_out
from ..compute.checks import possible_metrics
from ..compute.history import later
from ..compute.pivot import market_totals
from ..source.reader import METRICS_WINDOW, Newer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ...indicators.contract import Ints
    from ..base.intervals import Interval
    from ..source.reader import Source

log = logging.getLogger(__name__)

#: Metrics rows of each symbol that are read at once: a whole market has some hundred symbols.
_PIECE = 1000
_FIVE_MINUTES = timedelta(minutes=5)
_HOUR = timedelta(hours=1)
#: Rows of a group in an exported file: whoever wants some symbols reads the groups that have them.
_GROUP = 8192
#: How the columns with totals are called.
TOTAL = "total_"


def digest_of(content: bytes) -> str:
    """What stands for the content of an exported file."""
    return hashlib.sha256(content).hexdigest()[:32]


def write(table: pa.Table, file: Path) -> str:
    """Write what was read into a file. Returns its digest. Raises OSError."""
    pq.write_table(table, file, compression="zstd", row_group_size=_GROUP, write_page_checksum=True)
    return digest_of(file.read_bytes())


def read_bars(
    source: Source,
    interval: Interval,
    exchange: str,
    symbols: Sequence[str] | None,
    since: int,
    until: int,
    lookback: int,
) -> pa.Table:
    """The bars that start in a range, and those before it that their windows may hold, by symbol and time.

    Of some symbols, or of all. Raises SourceError.
    """
    before = interval.back(moment(since), 2 * lookback)
    end = interval.back(moment(until), -1) - MICROSECOND
    found = source.newer_candles(interval, exchange, symbols, end, Newer(before, {}))
    return _sorted(_between(found, microseconds(before) + 1, until))


def pieces(source: Source, interval: Interval, since: int, until: int) -> Iterator[tuple[int, int]]:
    """Parts of the time whose metrics rows windows that end in a range may hold; none where the source has none."""
    form = source.metrics_form(interval)
    if form is None or until <= since:
        return
    # Where an interval's are built from 5m rows, these are what is read.
    fine = interval.length // _FIVE_MINUTES if form.build else 1
    step = max(1, _PIECE // fine) * (interval.length // MICROSECOND)
    for start in range(since - METRICS_WINDOW // MICROSECOND, until, step):
        yield start, min(start + step, until)


def read_metrics(
    source: Source,
    interval: Interval,
    symbols: Sequence[str] | None,
    since: int,
    until: int,
    totals: Sequence[str],
) -> pa.Table:
    """The metrics rows of some symbols, or of all, in a range, by symbol and time, each with the market's totals.

    A total is the one of a run as of the end of the row's bar, less a microsecond; its column is ``total_<field>``.
    Raises SourceError.
    """
    begin, end = moment(since) - _HOUR - MICROSECOND, interval.back(moment(until), -1) - MICROSECOND
    found = source.metrics(interval, end, Newer(begin, {}))
    if found is None:
        raise SourceError(f"the source has no metrics at {interval.name}: leave the indicators of futures out")
    market, left_out = possible_metrics(found)
    warn_of_left_out(log, left_out, interval.name)
    rows = _between(market, since, until)
    times: Ints = np.unique(rows["bucket_ts"].cast(pa.int64()).to_numpy())
    places = np.searchsorted(times, rows["bucket_ts"].cast(pa.int64()).to_numpy())
    found_totals = market_totals(market, interval.name, later(times, interval, 1) - 1)
    for name in totals:
        rows = rows.append_column(f"{TOTAL}{name}", pa.array(found_totals[name][places]))
    if symbols is not None:
        rows = rows.filter(pc.is_in(rows["symbol"], pa.array(symbols, pa.string())))
    return _sorted(rows)


def _between(table: pa.Table, since: int, until: int) -> pa.Table:
    bounds = [pa.scalar(value, pa.int64()).cast(UTC_MICROSECONDS) for value in (since, until)]
    time = table["bucket_ts"].cast(UTC_MICROSECONDS)
    table = table.set_column(table.column_names.index("bucket_ts"), "bucket_ts", time)
    return table.filter(pc.and_(pc.greater_equal(time, bounds[0]), pc.less(time, bounds[1])))


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by([("symbol", "ascending"), ("bucket_ts", "ascending")]).combine_chunks()
