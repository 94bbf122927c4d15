"""As many closed bars as the retention keeps, into the result database: full tables on the first day."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa

from ...indicators.profiles import PARITY
from ..base import ending
from ..base.duck import open_duckdb
from ..base.errors import NoCandlesError
from ..base.intervals import microseconds
from ..compute import compiler
from ..compute.history import Part, side_by_side
from ..compute.sql import SqlIndicators
from ..record import Record
from ..results.sink import Sink
from ..source.reader import Source
from ..source.symbols import symbols_to_read
from ..source.urls import redacted
from .export import pieces, read_bars, read_metrics
from .task import Market, traded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...indicators.contract import Indicator
    from ..base.intervals import Interval
    from ..settings import Settings

log = logging.getLogger(__name__)


def fill(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Record:
    """Fill the tables of the result database; rows that are there stay as they are.

    Args:
        settings: as of a run; bars that have ended by its ``as_of`` are closed.
        progress: told what is done next: each interval's name, then ``write``.

    Raises:
        CandlemillError: of the kind that says what failed; nothing was written.
    """
    record = Record(
        as_of=settings.as_of,
        source=redacted(settings.source),
        intervals=[interval.name for interval in settings.intervals],
        indicators=len(settings.indicators),
    )
    with Sink.of(settings) as sink:
        sink.check(settings.indicators)
        source = Source.connect(settings.source, record)
        symbols = symbols_to_read(settings, source)
        parts: dict[Indicator, list[pa.Table]] = defaultdict(list)
        left_out: Counter[str] = Counter()
        seen: set[str] = set()
        for interval in settings.intervals:
            progress(interval.name)
            market = _market(settings, source, symbols, interval)
            left_out += market.left_out
            seen.update(market.bars)
            for declared, rows in _rows(settings, market, interval, record):
                parts[declared].append(rows)
        for reason, count in left_out.items():
            log.warning("left out %d: %s", count, reason)
        if not seen:
            raise NoCandlesError(
                f"no candles before {settings.as_of.isoformat()}: check --symbols, --exchange and --intervals"
            )
        if missing := sorted(set(symbols or ()) - seen):
            log.warning("no candles for %s", ", ".join(missing))
        progress("write")
        sink.insert(
            {declared: pa.concat_tables(tables) for declared, tables in parts.items()}, settings.keep, adding=True
        )
        with ending.postponed():
            sink.commit(record)
            if ending.forget():
                log.warning("the request to end came when the rows were being committed: the tables are filled")
    return record


def _range(settings: Settings, interval: Interval) -> tuple[int, int]:
    """From which start on, and before which, the bars that are kept are looked for: as far back as a run looks."""
    closed = interval.back(settings.as_of, 1)
    bars = 2 * max(settings.keep(interval.name), settings.lookback)
    return microseconds(interval.back(closed, bars)) + 1, microseconds(closed) + 1


def _market(settings: Settings, source: Source, symbols: Sequence[str] | None, interval: Interval) -> Market:
    since, until = _range(settings, interval)
    bars = read_bars(source, interval, settings.exchange, symbols, since, until, settings.lookback)
    futures = [one for one in settings.indicators if one.source == "metrics" and one.covers(interval.name)]
    totals = sorted({name for declared in futures for name in declared.totals})
    metrics = [
        read_metrics(source, interval, symbols, begin, end, totals)
        for begin, end in (pieces(source, interval, since, until) if futures else ())
    ]
    table = pa.concat_tables(metrics) if metrics else None
    return Market.of(bars, table, interval.name, settings.lookback, source.forming(interval))


def _rows(
    settings: Settings, market: Market, interval: Interval, record: Record
) -> Iterator[tuple[Indicator, pa.Table]]:
    keep = settings.keep(interval.name)
    since, until = _range(settings, interval)
    covering = [declared for declared in settings.indicators if declared.covers(interval.name)]
    # What is compiled serves all intervals.
    windows = len(market.bars) * sum(settings.keep(one.name) for one in settings.intervals)
    lanes = compiler.lanes_pay(windows, len(settings.indicators))
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for source, known in (("candles", market.bars), ("metrics", market.metrics)):
            chosen = [declared for declared in covering if declared.source == source]
            parts = [
                Part(series, market.totals.get(symbol, {}), int(kept[0]), until)
                for symbol, series in known.items()
                if symbol in market.bars and len(kept := series.time[series.time >= since][-keep:])
            ]
            unseen = {key for part in parts for key in _unseen(market, part)} if source == "metrics" else set()
            for declared, rows in (
                side_by_side(chosen, parts, sql, record, profile=PARITY, lanes=lanes) if chosen else ()
            ):
                if unseen:
                    keys = zip(rows["symbol"].to_pylist(), rows["bucket_ts"].cast(pa.int64()).to_pylist(), strict=True)
                    rows = rows.filter(pa.array([key not in unseen for key in keys]))
                yield declared, rows.drop_columns("run_id")


def _unseen(market: Market, part: Part) -> list[tuple[str, int]]:
    """Metrics rows of a series that a run does not write, as it sees no bar of the symbol: symbol and time."""
    symbol, times = part.series.symbol, part.series.time[part.series.time >= part.since]
    return [(symbol, int(time)) for time in times[~traded(market.bars[symbol], part.series, times)]]
