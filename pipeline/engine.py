"""A run, from candles to indicators.

1. Settings come checked: as-of, intervals and indicators are fixed (``settings``).
2. The source is reached and its catalogue read (``Source.connect``); the symbols are chosen (``symbols_to_read``).
3. Meanwhile the result database is looked at (``Sink.check``), and the tables of the work file are made (``WorkFile``).
4. Per interval, candles and metrics are read, ahead of the work (``reading``).
5. What cannot be is left out (``possible_bars``, ``possible_metrics``). The rest becomes a panel and a ranked
   table over the same memory (``arranged``: ``pivot_bars``, ``pivot_metrics``), also ahead of the work.
6. Intervals that have arrived become one panel (``joined``). SQL indicators are computed in the work file, NumPy
   indicators over the panel (``computed``). All rows of an indicator then go to the work file (``WorkFile.store``).
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

from .base import ending, heaps
from .base.errors import NoCandlesError, SourceError
from .base.intervals import bucket_start
from .compute.pivot import joined
from .compute.rows import computed
from .reading import begin
from .record import WITHOUT_CANDLES, Basis, Record, timed
from .results.sink import Sink
from .settings import symbols_of
from .source.symbols import every_symbol, meant
from .workfile.provenance import Provenance
from .workfile.writer import WorkFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import duckdb

    from ..indicators.contract import Indicator, Panel
    from .compute.pivot import Pivot
    from .compute.sql import SqlIndicators
    from .reading import Arranged, Begun
    from .settings import Settings
    from .source.reader import Source

log = logging.getLogger(__name__)


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
    begun: Begun | None = None,
    opening: Future[duckdb.DuckDBPyConnection] | None = None,
) -> Record:
    """One pass over all symbols and intervals; the module's docstring lists the steps.

    Args:
        settings: what to do.
        progress: told what is done next: each interval's name, then ``write`` and ``publish``.
        begun: what of it has begun already.
        opening: the connection with the sqlite extension, where somebody has begun to open one.

    Raises:
        CandlemillError: of the kind that says what failed; nothing was written.
    """
    begun = begun or begin(settings)
    record = begun.record
    with Sink.of(settings, opening) as sink:
        sink.check(settings.indicators)
        with WorkFile(settings.duckdb, settings.workers, settings.exchange, settings.marker) as work:
            # The tables of the work file are made while the extension is opened.
            expected = {interval.name: bucket_start(settings.as_of, interval) for interval in settings.intervals}
            sink.prepare(settings.indicators, expected, settings.keep)
            market = begun.market.result()
            results = compute(settings, market.incoming, work, record, progress)
            report_unseen(market.symbols, results.symbols, settings, record, lambda: _known(market.source, settings))
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


def compute(
    settings: Settings,
    incoming: Iterable[Sequence[Arranged]],
    sql: SqlIndicators,
    record: Record,
    progress: Callable[[str], None] = lambda _: None,
    finished: Callable[[Indicator, pa.Table], None] = lambda *_: None,
) -> Results:
    """Compute what comes in, group by group of intervals; the time of a group is shared out by bars.

    All rows of an indicator are stored as soon as there are no more to come, while the next one is computed, and
    ``finished`` is told of them.
    """
    parts: dict[Indicator, list[pa.Table]] = {indicator: [] for indicator in settings.indicators}
    pending = iter(settings.indicators)
    tables: dict[Indicator, pa.Table] = {}
    seen: set[str] = set()

    def finish(until: Indicator | None = None) -> None:
        for indicator in pending:
            if parts[indicator]:
                # Once: of each group, a table's few rows would take as long as those of all groups.
                tables[indicator] = rows = pa.concat_tables(parts[indicator])
                sql.store(indicator, rows)
                finished(indicator, rows)
            if indicator == until:
                return

    for group in incoming:
        progress(group[0].interval.name)
        begun = perf_counter()
        last = group[-1].interval == settings.intervals[-1]
        for indicator, rows in _work(group, settings, sql, record, seen):
            parts[indicator].append(rows)
            if last:
                finish(indicator)
        heaps.give_back()
        duration, bars = perf_counter() - begun, sum(market.bars.ranked.num_rows for market in group)
        for market in group:
            market.stage.t_compute = duration * market.bars.ranked.num_rows / bars if bars else duration / len(group)
            record.finished(market.stage)
    record.symbols, record.indicators = len(seen), len(settings.indicators)
    _report_left_out(record)
    finish()
    return Results(tables, seen)


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
    record.sqlite, record.duckdb = (str(file.resolve()) for file in (settings.sqlite, settings.duckdb))
    record.close()
    return work.publish([*earlier, record], Provenance.of(settings, record, every_symbol(settings)))


def _work(
    group: Sequence[Arranged], settings: Settings, sql: SqlIndicators, record: Record, seen: set[str]
) -> Iterator[tuple[Indicator, pa.Table]]:
    """Rows of the intervals of a group, computed as one panel, indicator by indicator."""
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
        return
    panel = _loaded("candles", candles, sql)
    beside = _loaded("metrics", metrics, sql) if metrics else None
    yield from computed(settings.indicators, panel, beside, sql, record.run_id, record, settings.profile)


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


def report_unseen(
    symbols: Sequence[str] | None,
    seen: set[str],
    settings: Settings,
    record: Record,
    known: Callable[[], Sequence[str]] = tuple,
) -> None:
    """Say which symbols have no candles at all, and which of ``known`` were probably meant by those asked for.

    Raises NoCandlesError where none has any.
    """
    missing = sorted(set(symbols or ()) - seen)
    if seen and not missing:
        return
    words = symbols_of(settings.symbols)
    # Of those that a rule chose, as ``auto`` does by metrics, nobody said that there are candles.
    ruled = not {"auto", "all"}.isdisjoint(words)
    wanted = [symbol for symbol in missing if symbol in words or not ruled]
    hint = meant(wanted, known()) if wanted else ""
    if not seen:
        asked = ", ".join(missing[:5]) + (", …" if len(missing) > 5 else "") if missing else "any symbol"
        raise NoCandlesError(
            f"no candles for {asked} at {', '.join(record.intervals)} before {settings.as_of.isoformat()}: "
            f"{hint or 'check --symbols, --exchange, --intervals and --as-of'}"
        )
    log.warning("no candles for %s%s", ", ".join(missing), f": {hint}" if hint else "")
    record.left_out({WITHOUT_CANDLES: len(missing)})
    record.unseen = wanted


def _known(source: Source, settings: Settings) -> Sequence[str]:
    """The symbols of the source; none where it cannot be read any more, as they are wanted for a hint alone."""
    try:
        return source.symbols(settings.exchange, settings.intervals, settings.as_of, settings.lookback)
    except SourceError:
        return []
