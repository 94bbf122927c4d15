"""One backfill of a range of time into a folder.

1. The folder is taken. Where it was begun before, the request has to be the same, and its plan goes on.
2. Slot by slot, bars are exported, unless they have been: then the slot's task and its id are known.
3. Tasks without a record are computed, while others are exported.
4. The manifest is written anew, with all tasks.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ...indicators.profiles import PARITY
from ..base.errors import NoCandlesError, SinkError, UsageError
from ..base.intervals import INTERVALS, moment
from ..base.threads import ReadAhead
from ..compute import compiler
from ..settings import symbols_of
from ..source.reader import METRICS_WINDOW, Source
from ..source.symbols import choose
from . import folder
from .export import pieces, read_bars, read_metrics
from .local import Failure, perform_all
from .plan import Plan, Request, code_version, digest, size_of
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from ..base.intervals import Interval
    from ..settings import Settings
    from .plan import Size, Slot
    from .task import Record

log = logging.getLogger(__name__)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: How far back the windows of metrics reach, microseconds.
_REACH = METRICS_WINDOW // timedelta(microseconds=1)
#: Failed tasks that are named.
_NAMED = 10


@dataclass
class Outcome:
    """What came of a backfill.

    Attributes:
        rows: by indicator.
        symbols: those that have bars.
        failed: why tasks failed, by id.
    """

    rows: Counter[str] = field(default_factory=Counter)
    symbols: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def take(self, task: Task, outcome: Record | Failure) -> None:
        """Count a task that has ended."""
        if isinstance(outcome, Failure):
            self.failed[task.id] = outcome.reason
            return
        self.rows.update(outcome["rows"])
        self.symbols.update(outcome["symbols"])
        for reason, count in outcome["left_out"].items():
            log.warning("%s: left out %d: %s", task.id, count, reason)
        for error in outcome["errors"]:
            log.error("%s: an indicator failed: %s", task.id, error)


def backfill(
    settings: Settings,
    begin: datetime,
    end: datetime,
    root: Path,
    *,
    verify: int = 0,
    begins: Callable[[Size], None] = lambda _: None,
    progress: Callable[[int, bool], None] = lambda _bars, _computed: None,
) -> Outcome:
    """Write the history of a range into a folder, or go on with it.

    Args:
        settings: the source, and what is computed; ``as_of`` is now.
        begin: the first moment at which a bar of it can start.
        end: the moment before which its bars start.
        root: the folder.
        verify: see ``perform``.
        begins: told how much there is to do, before it begins.
        progress: told of each task that has ended: the bars it has at most, and whether it was computed now.

    Raises:
        UsageError: the range or the folder cannot be taken.
        SourceError: the source cannot be read; what is done stays, as with the others.
        SinkError: the folder cannot be written, or tasks failed.
        NoCandlesError: there are no bars.
    """
    if not _EARLIEST <= begin < end:
        raise UsageError(f"--from {begin.isoformat()} is not before --to {end.isoformat()}, or before 1970")
    source = Source.connect(settings.source)
    with folder.taken(root):
        plan = _plan(settings, begin, end, root, source)
        size = size_of(plan)
        if not size.tasks:
            raise NoCandlesError(f"no bar has closed from {begin.isoformat()} to {end.isoformat()}: check --from, --to")
        begins(size)
        if size.size > shutil.disk_usage(root).free:
            log.warning("%s may be too small a disk: see the size above", root)
        exports, outcome = _Exports(plan, source, root), Outcome()
        sizes: dict[str, int] = {}

        def prepared(slot: Slot) -> Task:
            task = exports.task_of(slot)
            sizes[task.id] = slot.bars
            return task

        def unfinished() -> Iterator[Task]:
            # Exported beside the computation, a few tasks ahead of it.
            for task in chain.from_iterable(ReadAhead(prepared, plan.slots(), most=2 * settings.workers)):
                record = folder.read_record(root, task.id)
                if record is None or verify:
                    yield task
                else:
                    outcome.take(task, record)
                    progress(sizes[task.id], False)

        lanes = compiler.lanes_pay(size.bars, len(plan.request.indicators))
        with closing(perform_all(unfinished(), root, settings.workers, lanes=lanes, verify=verify)) as ended:
            for done in ended:
                outcome.take(done.task, done.outcome)
                progress(sizes[done.task.id], True)
        _finish(plan, list(sizes), outcome, root)
    return outcome


def _finish(plan: Plan, tasks: Sequence[str], outcome: Outcome, root: Path) -> None:
    """Write down what came of all tasks. Raises SinkError where some failed, NoCandlesError where there are no bars."""
    folder.keep_only(root, tasks)
    complete = not outcome.failed
    folder.write_manifest(
        root, plan, {"complete": complete, "tasks": sorted(tasks), "rows": dict(sorted(outcome.rows.items()))}
    )
    if outcome.failed:
        for task, reason in list(outcome.failed.items())[:_NAMED]:
            log.error("task %s failed: %s", task, reason)
        raise SinkError(
            f"{len(outcome.failed)} of {len(tasks)} tasks failed, {next(iter(outcome.failed))} among them; the others "
            "are done: mend what is named above and give the same command again"
        )
    if not outcome.rows:
        raise NoCandlesError(
            f"no candles of {plan.request.symbols} from {plan.request.begin} to {plan.request.end}: "
            "check --symbols, --exchange, --intervals, --from and --to"
        )
    if missing := sorted(set(plan.symbols) - outcome.symbols):
        log.warning("no candles for %s", ", ".join(missing))


def _plan(settings: Settings, begin: datetime, end: datetime, root: Path, source: Source) -> Plan:
    """The plan that the folder was begun with, or a new one, which then is in it."""
    request = Request(
        exchange=settings.exchange,
        symbols=settings.symbols,
        intervals=tuple(interval.name for interval in settings.intervals),
        indicators=tuple(declared.id for declared in settings.indicators),
        begin=begin.isoformat(),
        end=end.isoformat(),
        lookback=settings.lookback,
        profile=PARITY,
        version=code_version(),
    )
    if (known := folder.read_manifest(root)) is None:
        # Where all bars of the range are closed, nothing depends on when it was begun.
        last = min(end, settings.as_of)
        closed = min(settings.as_of, max(interval.back(last, -1) for interval in settings.intervals))
        plan = Plan(request, tuple(_symbols(settings, begin, last, source)), closed.isoformat())
        folder.write_manifest(root, plan, {})
        return plan
    before = asdict(known.request)
    if differing := [name for name, value in asdict(request).items() if value != before[name]]:
        name = differing[0]
        raise UsageError(
            f"{root} holds a backfill of another {name} ({before[name]}): ask for the same, or give another --output"
        )
    return known


def _symbols(settings: Settings, begin: datetime, until: datetime, source: Source) -> list[str]:
    """The symbols that are asked for; ``all`` are those with a candle in the range, ``auto`` chooses at its end."""
    if "all" not in symbols_of(settings.symbols):
        return list(choose(replace(settings, as_of=until), source))
    found: set[str] = set()
    for interval in settings.intervals:
        bars = -(-(until - begin) // interval.length)
        # A source is asked for twice as many bars as a run wants.
        within = replace(settings, as_of=until, intervals=(interval,), lookback=bars // 2 + 1)
        with suppress(NoCandlesError):
            found.update(choose(within, source))
    if not found:
        raise NoCandlesError(
            f"no symbol of {settings.exchange} has candles from {begin.isoformat()} to {until.isoformat()}: "
            "check --exchange, --intervals, --from and --to"
        )
    return sorted(found)


@dataclass(frozen=True)
class _Piece:
    """Exported metrics of some time: their name and their digest."""

    name: str
    since: int
    until: int
    digest: str

    def reaches(self, slot: Slot) -> bool:
        """Whether windows of a slot may hold rows of it."""
        return self.since < slot.until and self.until > slot.since - _REACH


class _Exports:
    """What is read from the source for the tasks of a plan. What has been read before is taken as it is."""

    def __init__(self, plan: Plan, source: Source, root: Path) -> None:
        self._plan, self._source, self._root = plan, source, root
        self._metrics: dict[str, list[_Piece]] = {}

    def task_of(self, slot: Slot) -> Task:
        """The task of a slot, with its bars exported. Raises SourceError and OSError."""
        request, interval = self._plan.request, INTERVALS[slot.interval]
        metrics = [piece for piece in self._pieces(interval) if piece.reaches(slot)]
        name = f"{slot.name}-{digest([request.exchange, slot.symbols, slot.since, slot.until, request.lookback])}"
        bars = self._exported(
            name,
            lambda: read_bars(
                self._source, interval, request.exchange, slot.symbols, slot.since, slot.until, request.lookback
            ),
        )
        return Task(
            name=slot.name,
            interval=slot.interval,
            symbols=slot.symbols,
            since=slot.since,
            until=slot.until,
            exchange=request.exchange,
            profile=request.profile,
            lookback=request.lookback,
            forming=self._source.forming(interval),
            indicators=request.indicators,
            bars=name,
            metrics=tuple(piece.name for piece in metrics),
            exported=(bars, *(piece.digest for piece in metrics)),
            version=request.version,
        )

    def _pieces(self, interval: Interval) -> list[_Piece]:
        """The metrics of an interval, exported when they are asked for first."""
        if interval.name not in self._metrics:
            self._metrics[interval.name] = list(self._export_metrics(interval))
        return self._metrics[interval.name]

    def _export_metrics(self, interval: Interval) -> Iterator[_Piece]:
        futures = [one for one in self._plan.request.declared if one.source == "metrics" and one.covers(interval.name)]
        totals = sorted({name for declared in futures for name in declared.totals})
        since, until = self._plan.range_of(interval)
        for begin, end in pieces(self._source, interval, since, until) if futures else ():
            what = digest([self._plan.symbols, begin, end, totals])
            name = f"metrics-{interval.name}-{moment(begin):%Y%m%dT%H%M}-{what}"
            read = partial(read_metrics, self._source, interval, self._plan.symbols, begin, end, totals)
            yield _Piece(name, begin, end, self._exported(name, read))

    def _exported(self, name: str, read: Callable[[], pa.Table]) -> str:
        """The digest of an exported file, which is made where it is not there."""
        file = folder.bars_of(self._root, name)
        if not file.exists():
            draft = folder.draft_of(file)
            try:
                pq.write_table(read(), draft, compression="zstd")
                folder.publish({draft: file})
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
