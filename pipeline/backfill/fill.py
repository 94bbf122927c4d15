"""As many closed bars as the retention keeps, into the result database: full tables on the first day."""

from __future__ import annotations

import logging
import multiprocessing
from collections import Counter, defaultdict, deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import chain, islice
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ...indicators.registry import INDICATORS
from ..base import ending
from ..base.duck import open_duckdb
from ..base.errors import NoCandlesError, SinkError
from ..base.intervals import microseconds
from ..base.logs import warn_of_left_out
from ..compute import compiler
from ..compute.history import Part, side_by_side
from ..compute.sql import SqlIndicators
from ..record import Observer, Record
from ..results.sink import Sink
from ..source.reader import Source
from ..source.symbols import symbols_to_read
from ..source.urls import redacted
from .export import pieces, read_bars, read_metrics
from .local import attach
from .task import Market, traded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from ...indicators.contract import Indicator
    from ..base.intervals import Interval
    from ..settings import Settings

log = logging.getLogger(__name__)

#: Windows of a share: half a second of work. Of 50 symbols with 120 windows each, and the bars that these begin with,
#: half fill a slice of lanes.
_TOGETHER = 3072
#: Fewest shares for which processes begin: with fewer one would be done before another is ready.
_ALONE = 4


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
        profile=settings.profile,
    )
    with Sink.of(settings) as sink:
        sink.check(settings.indicators)
        source = Source.connect(settings.source, record)
        symbols = symbols_to_read(settings, source)
        parts: dict[Indicator, list[pa.Table]] = defaultdict(list)
        left_out: Counter[str] = Counter()
        seen: set[str] = set()

        def read() -> Iterator[_Share]:
            for interval in settings.intervals:
                progress(interval.name)
                yield from _shares(settings, source, symbols, interval)

        for found in _computed(read(), settings.workers):
            left_out += found.left_out
            seen.update(found.symbols)
            for name, rows in found.rows:
                parts[INDICATORS[name]].append(rows)
            for failure in found.failures:
                record.fail(*failure)
        warn_of_left_out(log, left_out)
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


@dataclass(frozen=True)
class _Share:
    """Some symbols at an interval, and what is computed of them: plain values, for whichever process takes it.

    Attributes:
        interval: its name.
        indicators: ids of those that cover it.
        since: from which start of a bar on rows may be kept, microseconds since the epoch.
        until: before which.
        keep: most rows of a symbol.
        profile: whose values.
        lookback: bars of a window.
        forming: see ``Source.forming``.
        lanes: see ``history_of``.
        bars: the candles.
        metrics: the metrics, None: the source has none.
    """

    interval: str
    indicators: tuple[str, ...]
    since: int
    until: int
    keep: int
    profile: str
    lookback: int
    forming: int
    lanes: bool
    bars: pa.Table
    metrics: pa.Table | None


@dataclass(frozen=True)
class _Found:
    """The rows of a share by indicator, the symbols that have bars, what was left out, and what failed."""

    rows: Sequence[tuple[str, pa.Table]]
    symbols: set[str]
    left_out: Counter[str]
    failures: Sequence[tuple[str, str, str, str]]


class _Failures(Observer):
    def __init__(self) -> None:
        self.found: list[tuple[str, str, str, str]] = []

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        """Keep what went wrong."""
        self.found.append((table, symbol, interval, message))


def _shares(settings: Settings, source: Source, symbols: Sequence[str] | None, interval: Interval) -> Iterator[_Share]:
    """What is to be computed at an interval, read from the source, in shares of a few symbols."""
    since, until = _range(settings, interval)
    bars = read_bars(source, interval, settings.exchange, symbols, since, until, settings.lookback)
    covering = [declared for declared in settings.indicators if declared.covers(interval.name)]
    futures = [declared for declared in covering if declared.source == "metrics"]
    totals = sorted({name for declared in futures for name in declared.totals})
    metrics = [
        read_metrics(source, interval, symbols, begin, end, totals)
        for begin, end in (pieces(source, interval, since, until) if futures else ())
    ]
    keep = settings.keep(interval.name)
    names = bars["symbol"].unique().to_pylist()
    # What is compiled serves all intervals.
    windows = len(names) * sum(settings.keep(one.name) for one in settings.intervals)
    whole = _Share(
        interval=interval.name,
        indicators=tuple(declared.id for declared in covering),
        since=since,
        until=until,
        keep=keep,
        profile=settings.profile,
        lookback=settings.lookback,
        forming=source.forming(interval),
        lanes=compiler.lanes_pay(windows, len(settings.indicators)),
        bars=bars,
        metrics=pa.concat_tables(metrics) if metrics else None,
    )
    together = max(1, _TOGETHER // keep)
    for first in range(0, len(names), together):
        chosen = pa.array(names[first : first + together], pa.string())
        yield replace(
            whole, bars=_of(bars, chosen), metrics=None if whole.metrics is None else _of(whole.metrics, chosen)
        )


def _of(rows: pa.Table, symbols: pa.Array) -> pa.Table:
    return rows.filter(pc.is_in(rows["symbol"], symbols))


def _computed(shares: Iterable[_Share], workers: int) -> Iterator[_Found]:
    """What is found of some shares, in their order: in processes, where there is enough for several.

    Raises SinkError where a process ends in the middle of one.
    """
    coming = iter(shares)
    first = list(islice(coming, _ALONE))
    if workers == 1 or len(first) < _ALONE:
        yield from map(_compute, chain(first, coming))
        return
    # Nothing is inherited: of threads and of what DuckDB and Arrow keep, a forked process would have one half.
    spawned = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()
    with ending.owned(lambda: ProcessPoolExecutor(workers, mp_context=spawned, initializer=attach), _stop) as pool:
        try:
            waiting: deque[Future[_Found]] = deque()
            for share in chain(first, coming):
                # A process that is started while signals are blocked hears none: this one ends it.
                with ending.postponed():
                    waiting.append(pool.submit(_compute, share))
                # Beside the computation it reads on, a few shares ahead.
                while waiting and (waiting[0].done() or len(waiting) > 4 * workers):
                    yield _told(waiting.popleft().result())
            for each in waiting:
                yield _told(each.result())
        except BrokenProcessPool as error:
            raise SinkError(
                "a process of the computation ended, as where memory is short; nothing was written: "
                "give the same command again with fewer --workers"
            ) from error


def _told(found: _Found) -> _Found:
    """The same; what failed in another process is told here."""
    for failure in found.failures:
        log.error("%s failed on %s %s: %s", *failure)
    return found


def _stop(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(cancel_futures=True)


def _compute(share: _Share) -> _Found:
    if share.lanes:
        compiler.keep()
    market = Market.of(share.bars, share.metrics, share.interval, share.lookback, share.forming)
    failures = _Failures()
    with open_duckdb() as connection:
        rows = [(declared.id, found) for declared, found in _rows(share, market, SqlIndicators(connection), failures)]
    return _Found(rows, set(market.bars), market.left_out, failures.found)


def _rows(
    share: _Share, market: Market, sql: SqlIndicators, observer: Observer
) -> Iterator[tuple[Indicator, pa.Table]]:
    for source, known in (("candles", market.bars), ("metrics", market.metrics)):
        chosen = [INDICATORS[name] for name in share.indicators if INDICATORS[name].source == source]
        parts = [
            Part(series, market.totals.get(symbol, {}), int(kept[0]), share.until)
            for symbol, series in known.items()
            if symbol in market.bars and len(kept := series.time[series.time >= share.since][-share.keep :])
        ]
        unseen = {key for part in parts for key in _unseen(market, part)} if source == "metrics" else set()
        for declared, rows in (
            side_by_side(chosen, parts, sql, observer, profile=share.profile, lanes=share.lanes) if chosen else ()
        ):
            if unseen:
                keys = zip(rows["symbol"].to_pylist(), rows["bucket_ts"].cast(pa.int64()).to_pylist(), strict=True)
                rows = rows.filter(pa.array([key not in unseen for key in keys]))
            yield declared, rows.drop_columns("run_id")


def _unseen(market: Market, part: Part) -> list[tuple[str, int]]:
    """Metrics rows of a series that a run does not write, as it sees no bar of the symbol: symbol and time."""
    symbol, times = part.series.symbol, part.series.time[part.series.time >= part.since]
    return [(symbol, int(time)) for time in times[~traded(market.bars[symbol], part.series, times)]]
