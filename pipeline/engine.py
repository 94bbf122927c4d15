"""A run, from candles to indicators.

1. Settings come checked: as-of, intervals and indicators are fixed (``settings``).
2. The source is reached and its catalogue read (``Source.connect``), while the result database is looked at
   (``Sink.check``), before anything is read for it.
3. The symbols are chosen (``symbols_to_read``), while the tables of the work file are made (``WorkFile``).
4. Per interval, candles and metrics are read, ahead of the work (``_read``, ``ReadAhead``).
5. What cannot be is left out (``possible_bars``, ``possible_metrics``). The rest becomes a panel and a ranked
   table over the same memory (``arranged``: ``pivot_bars``, ``pivot_metrics``), also ahead of the work.
6. Intervals that have arrived become one panel (``joined``). SQL indicators are computed in the work file, NumPy
   indicators over the panel (``compute_interval``). The finished rows go to the work file (``WorkFile.store``).
7. The work file begins to settle on disk (``WorkFile.settle``).
8. The rows go to SQLite in one transaction (``Sink.insert``), committed once the work file has settled
   (``Sink.commit``).
9. The record is closed, and the work file published with it (``Record.close``, ``WorkFile.publish``).

A step that fails, or a signal, ends the run before anything is committed, and leaves both files as they were. From the
commit on the run is completed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from .base import ending
from .base.errors import NoCandlesError, SourceError
from .base.intervals import bucket_start
from .base.threads import ReadAhead, in_thread
from .compute.checks import possible_bars, possible_metrics
from .compute.pivot import joined, pivot_bars, pivot_metrics
from .compute.rows import compute_interval
from .record import WITHOUT_CANDLES, Basis, Observer, Record, Stage, age, timed
from .results.sink import Sink
from .source.bulk import load_connectorx
from .source.reader import METRICS_ROWS, Source
from .source.symbols import every_symbol, symbols_to_read
from .source.urls import redacted
from .workfile.provenance import Provenance
from .workfile.writer import WorkFile

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    import duckdb

    from ..indicators.contract import Indicator, Panel
    from .base.intervals import Interval
    from .compute.pivot import Pivot
    from .compute.sql import SqlIndicators
    from .settings import Settings

log = logging.getLogger(__name__)

#: Bars from which a group of intervals is computed while others are still read: below, NumPy's time is that of its
#: calls, whatever they work on.
WORTH = 75_000
#: Bars of read intervals that wait beyond which reading pauses, for the memory's sake.
MOST = 120_000


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
class Results:
    """What a pass computed.

    Attributes:
        tables: finished rows by indicator, a row per series.
        symbols: the symbols that have bars.
    """

    tables: dict[Indicator, pa.Table]
    symbols: set[str]


def run(
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
    opening: Future[duckdb.DuckDBPyConnection] | None = None,
) -> Record:
    """One pass over all symbols and intervals; the module's docstring lists the steps.

    Args:
        settings: what to do.
        progress: told what is done next: each interval's name, then ``write`` and ``publish``.
        opening: see ``Sink``.

    Raises:
        CandlemillError: of the kind that says what failed; nothing was written.
    """
    record = new_record(settings)
    record.t_start = age()
    with Sink.of(settings, opening) as sink:
        connecting = in_thread(lambda: Source.connect(settings.source, record))
        sink.check(settings.indicators)
        reading = in_thread(lambda: _reading(connecting, settings, record))
        expected = {interval.name: bucket_start(settings.as_of, interval) for interval in settings.intervals}
        sink.prepare(settings.indicators, expected, settings.keep)
        with WorkFile(settings.duckdb, settings.workers, settings.exchange, settings.marker) as work:
            symbols, incoming = reading.result()
            results = compute(settings, incoming, work, record, progress)
            report_unseen(symbols, results.symbols, settings, record)
            insert(settings, results, sink, work, record, progress)
            with ending.postponed():
                commit_and_publish(settings, sink, work, record, progress=progress)
                if ending.forget():
                    log.warning("the request to end came when the results were being committed: the run is complete")
    return record


def check_results(settings: Settings) -> None:
    """Look, without writing, whether the result database takes what is asked for. Raises as ``Sink.check`` does."""
    with Sink.of(settings) as sink:
        sink.check(settings.indicators)


def new_record(settings: Settings) -> Record:
    """The record of a pass that begins now."""
    return Record(
        as_of=settings.as_of,
        source=redacted(settings.source),
        intervals=[interval.name for interval in settings.intervals],
        indicators=len(settings.indicators),
    )


def compute(
    settings: Settings,
    incoming: Iterable[Sequence[Arranged]],
    sql: SqlIndicators,
    record: Record,
    progress: Callable[[str], None] = lambda _: None,
) -> Results:
    """Compute what comes in, group by group of intervals; the time of a group is shared out by bars."""
    tables: dict[Indicator, list[pa.Table]] = {indicator: [] for indicator in settings.indicators}
    seen: set[str] = set()
    for group in incoming:
        progress(group[0].interval.name)
        begun = perf_counter()
        results = _work(group, settings, sql, record, seen)
        # Stored behind the back of what is computed next.
        sql.store(results)
        for indicator, rows in results.items():
            tables[indicator].append(rows)
        duration, bars = perf_counter() - begun, sum(market.bars.ranked.num_rows for market in group)
        for market in group:
            market.stage.t_compute = duration * market.bars.ranked.num_rows / bars if bars else duration / len(group)
            record.finished(market.stage)
    record.symbols = len(seen)
    _report_left_out(record)
    return Results({indicator: pa.concat_tables(parts) for indicator, parts in tables.items() if parts}, seen)


def insert(
    settings: Settings,
    results: Results,
    sink: Sink,
    work: WorkFile,
    record: Record,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Bring the rows into SQLite, not committed, while the draft of the work file settles on disk."""
    progress("write")
    settled = work.settle()
    with timed(record, "t_write"):
        sink.insert(results.tables, settings.keep, before_commit=settled.result)


def commit_and_publish(
    settings: Settings,
    sink: Sink,
    work: WorkFile,
    record: Record,
    earlier: Sequence[Record] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> bool:
    """Commit, then publish; ``earlier`` are records that the work file does not have yet. Whether it has them now."""
    with timed(record, "t_write"):
        sink.commit(record)
    ending.leaves("the results were written")
    progress("publish")
    record.close()
    return work.publish([*earlier, record], Provenance.of(settings, record, every_symbol(settings)))


def _reading(
    connecting: Future[Source], settings: Settings, record: Record
) -> tuple[Sequence[str] | None, Iterable[Sequence[Arranged]]]:
    """The chosen symbols, and the intervals, which begin to be read."""
    load_connectorx()
    source = connecting.result()
    symbols = symbols_to_read(settings, source)
    return symbols, ReadAhead(
        lambda interval: arranged(_read(source, settings, symbols, interval, record), settings),
        settings.intervals,
        weight=lambda market: market.bars.ranked.num_rows,
        worth=WORTH,
        most=MOST,
        # Two intervals of a small market: the server, or the way to it, is idle while one has half of its rows.
        abreast=2,
    )


def _read(
    source: Source,
    settings: Settings,
    symbols: Sequence[str] | None,
    interval: Interval,
    observer: Observer,
) -> Loaded:
    stage = Stage(interval.name)
    with timed(stage, "t_read"):
        coming = in_thread(
            lambda: source.candles(
                interval, settings.exchange, symbols, settings.as_of, settings.lookback, settings.closed_only
            )
        )
        metrics = None
        if any(indicator.source == "metrics" for indicator in settings.indicators):
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


def _work(
    group: Sequence[Arranged], settings: Settings, sql: SqlIndicators, record: Record, seen: set[str]
) -> dict[Indicator, pa.Table]:
    """Rows of the intervals of a group, computed as one panel."""
    for market in group:
        name, bars, stage = market.interval.name, market.bars, market.stage
        record.computed_from(name, Basis(bars.newest, dict(market.skipped)))
        seen.update(bars.panel.symbols)
        stage.bars, stage.series = bars.ranked.num_rows, bars.panel.series
        if bars.panel.series:
            sql.keep(name, bars, market.metrics)
        else:
            log.warning("%s: no candles in the window", name)
        series = {"candles": bars.panel.series, "metrics": market.metrics.panel.series if market.metrics else 0}
        stage.rows = sum(series[declared.source] for declared in settings.indicators if declared.covers(name))
    candles = [market.bars for market in group if market.bars.panel.series]
    metrics = [market.metrics for market in group if market.metrics is not None and market.metrics.panel.series]
    if not candles:
        return {}
    panel = _loaded("candles", candles, sql)
    beside = _loaded("metrics", metrics, sql) if metrics else None
    return compute_interval(settings.indicators, panel, beside, sql, record.run_id, record)


def _report_left_out(record: Record) -> None:
    """Say what was left out and where, once for each reason."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for interval, basis in record.bases.items():
        for reason, count in basis.left_out.items():
            found[reason].append(f"{count} at {interval}")
    for reason, counts in found.items():
        log.warning("%s: left out, %s", reason, ", ".join(counts))


def _loaded(source: Literal["candles", "metrics"], pivots: Sequence[Pivot], sql: SqlIndicators) -> Panel:
    """One panel of some, whose rows SQL can read, too."""
    panel, columns = joined([pivot.panel for pivot in pivots])
    sql.load(source, pivots, columns)
    return panel


def report_unseen(symbols: Sequence[str] | None, seen: set[str], settings: Settings, record: Record) -> None:
    """Say which symbols have no candles at all. Raises NoCandlesError where none has any."""
    missing = sorted(set(symbols or ()) - seen)
    if not seen:
        asked = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "") if missing else "any symbol"
        raise NoCandlesError(
            f"no candles for {asked} at {', '.join(record.intervals)} before {settings.as_of.isoformat()}: "
            "check --symbols, --exchange, --intervals and --as-of"
        )
    if missing:
        log.warning("no candles for %s", ", ".join(missing))
        record.left_out({WITHOUT_CANDLES: len(missing)})
