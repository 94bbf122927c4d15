"""What a run reads: the source is reached, the symbols are chosen, and the intervals read ahead of the work.

It begins before the modules of the work are imported, NumPy with them: that takes as long as the first statements.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..indicators.fields import METRICS_ROWS
from .base.errors import SourceError
from .base.threads import ReadAhead, in_thread
from .record import Observer, Record, Stage, age, timed
from .source.reader import Source
from .source.symbols import symbols_to_read
from .source.urls import redacted

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from .base.intervals import Interval
    from .compute.pivot import Pivot
    from .settings import Settings

log = logging.getLogger(__name__)

#: Bars from which a group of intervals is computed while others are still read: below, NumPy's time is that of its
#: calls, whatever they work on.
WORTH = 75_000
#: Bars of read intervals that wait beyond which reading pauses, for the memory's sake.
MOST = 170_000


@dataclass(frozen=True)
class Loaded:
    """What was read for one interval."""

    interval: Interval
    stage: Stage
    candles: pa.Table
    metrics: pa.Table | None


@dataclass(frozen=True)
class Arranged:
    """What was read for one interval, ready to compute with.

    Attributes:
        skipped: rows that were left out, by reason.
    """

    interval: Interval
    stage: Stage
    bars: Pivot
    metrics: Pivot | None
    skipped: Counter[str]


@dataclass(frozen=True)
class Market:
    """What is read for a run.

    Attributes:
        symbols: the chosen ones; None: all.
        incoming: the intervals in their order, as groups that have arrived together.
        source: what they are read from.
    """

    symbols: Sequence[str] | None
    incoming: Iterable[Sequence[Arranged]]
    source: Source


@dataclass(frozen=True)
class Begun:
    """A run of which some has begun.

    Attributes:
        record: its record.
        market: what is read.
    """

    record: Record
    market: Future[Market]


def begin(settings: Settings) -> Begun:
    """Begin to read; errors come with the market."""
    record = new_record(settings)
    record.t_start = age()
    begun = Begun(record, in_thread(lambda: _market(settings, record)))
    # What the first statement cannot be sent without is imported while the source is reached: here, as the thread that
    # reads steps back for this one.
    import connectorx  # noqa: F401
    import pyarrow as pa  # noqa: F401

    return begun


def new_record(settings: Settings) -> Record:
    """The record of a pass that begins now."""
    return Record(
        as_of=settings.as_of,
        source=redacted(settings.source),
        intervals=[interval.name for interval in settings.intervals],
        profile=settings.profile,
    )


def _market(settings: Settings, record: Record) -> Market:
    source = Source.connect(settings.source, record)
    symbols = symbols_to_read(settings, source)
    incoming = ReadAhead(
        lambda interval: arranged(read(source, settings, symbols, interval, record), settings),
        settings.intervals,
        weight=lambda market: market.bars.ranked.num_rows,
        worth=WORTH,
        most=MOST,
        # The server, or the way to it, is idle at times while it works for one interval alone.
        abreast=2,
    )
    return Market(symbols, incoming, source)


def read(
    source: Source,
    settings: Settings,
    symbols: Sequence[str] | None,
    interval: Interval,
    observer: Observer,
) -> Loaded:
    """What a run reads for an interval. Raises SourceError where there are no candles to be had."""
    stage = Stage(interval.name)
    with timed(stage, "t_read"):
        coming = in_thread(
            lambda: source.candles(
                interval, settings.exchange, symbols, settings.as_of, settings.lookback, settings.closed_only
            )
        )
        metrics = None
        if settings.reads_metrics:
            # Side by side with the candles: neither alone keeps both the server and this side busy.
            try:
                metrics = source.metrics(interval, settings.as_of)
            except SourceError as error:
                # Futures tables then get no rows for this interval; the candles are worth the run all the same.
                log.error("%s: no futures metrics: %s", interval.name, error)
                observer.fail("", "", interval.name, str(error))
        candles = coming.result()
    return Loaded(interval, stage, candles, metrics)


def arranged(loaded: Loaded, settings: Settings) -> Arranged:
    """What was read as panels and ranked tables, without what cannot be; the time counts as reading."""
    # Imported by the thread that needs it first, while the source works.
    from .compute.checks import possible_bars, possible_metrics
    from .compute.pivot import pivot_bars, pivot_metrics

    name = loaded.interval.name
    with timed(loaded.stage, "t_read"):
        candles, skipped = possible_bars(loaded.candles, loaded.interval)
        bars = pivot_bars(candles, name, settings.as_of, settings.lookback)
        skipped.update(bars.skipped)
        metrics = None
        if loaded.metrics is not None and bars.panel.series:
            possible, impossible = possible_metrics(loaded.metrics)
            metrics = pivot_metrics(possible, name, settings.as_of, METRICS_ROWS, bars.panel.symbols)
            skipped.update(impossible)
            skipped.update(metrics.skipped)
    return Arranged(loaded.interval, loaded.stage, bars, metrics, skipped)
