"""One backfill of a range of time into a store.

1. The store is taken. Where it was begun before, the request has to be the same, and its plan goes on.
2. Slot by slot, bars are exported, unless they have been: then the slot's task and its id are known.
3. Tasks without a record are computed, while others are exported.
4. The manifest is written anew, with all tasks.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from ..base.errors import NoCandlesError, SinkError, UsageError
from ..base.logs import warn_of_left_out
from ..base.threads import ReadAhead
from ..compute import compiler
from ..settings import symbols_of
from ..source.reader import Source
from ..source.symbols import choose
from . import folder
from .attempts import Failure
from .exports import Exports
from .local import perform_all
from .plan import Plan, Request, code_version, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from ..settings import Settings
    from .attempts import Done
    from .plan import Size, Slot
    from .store import Store
    from .task import Record, Task

log = logging.getLogger(__name__)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: Tasks that are prepared before one is asked for.
_AHEAD = 64
#: Failed tasks that are named.
_NAMED = 10


@dataclass
class Outcome:
    """What came of a backfill.

    Attributes:
        rows: by indicator.
        symbols: those that have bars.
        failed: why tasks failed, by id.
        computed_by: tasks by what computed them, in JSON.
    """

    rows: Counter[str] = field(default_factory=Counter)
    symbols: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    computed_by: Counter[str] = field(default_factory=Counter)

    def take(self, task: str, outcome: Record | Failure) -> None:
        """Count a task that has ended, by its id."""
        if isinstance(outcome, Failure):
            self.failed[task] = outcome.reason
            return
        self.rows.update(outcome["rows"])
        self.symbols.update(outcome["symbols"])
        self.computed_by[json.dumps(outcome["computed_by"], sort_keys=True)] += 1
        warn_of_left_out(log, outcome["left_out"], task)
        for error in outcome["errors"]:
            log.error("%s: an indicator failed: %s", task, error)


class Engine(Protocol):
    """What computes tasks, as ``local.perform_all`` does."""

    def __call__(
        self, tasks: Iterable[Task], store: Store, workers: int, *, lanes: bool, verify: int
    ) -> Generator[Done]:
        """Compute tasks, as they end."""


def backfill(
    settings: Settings,
    begin: datetime,
    end: datetime,
    store: Store,
    *,
    engine: Engine = perform_all,
    export_only: bool = False,
    from_export: bool = False,
    verify: int = 0,
    begins: Callable[[Size], None] = lambda _: None,
    progress: Callable[[int, bool], None] = lambda _bars, _computed: None,
) -> Outcome:
    """Write the history of a range into a store, or go on with it.

    Args:
        settings: the source, and what is computed; ``as_of`` is now.
        begin: the first moment at which a bar of it can start.
        end: the moment before which its bars start.
        store: where it is written.
        engine: what computes.
        export_only: end when the bars are exported.
        from_export: take what was exported, and ask the source for nothing.
        verify: see ``perform``.
        begins: told how much there is to do, before it begins.
        progress: told of each task that has ended: the bars it has at most, and whether it was computed now.

    Raises:
        UsageError: the range or the store cannot be taken, or there is no whole export to take.
        SourceError: the source cannot be read; what is done stays, as with the others.
        SinkError: the store cannot be written, or tasks failed.
        NoCandlesError: there are no bars.
    """
    if not _EARLIEST <= begin < end:
        raise UsageError(f"--from {begin.isoformat()} is not before --to {end.isoformat()}, or before 1970")
    source = None if from_export else Source.connect(settings.source)
    outcome = Outcome()
    with folder.taken(store):
        plan = _plan(settings, begin, end, store, source)
        size = size_of(plan)
        if not size.tasks:
            raise NoCandlesError(f"no bar has closed from {begin.isoformat()} to {end.isoformat()}: check --from, --to")
        begins(size)
        free = store.free()
        if free is not None and size.size > free:
            log.warning("%s may be too small a disk: see the size above", store)
        exports, recorded = Exports(plan, source, store), folder.recorded(store)
        sizes: dict[str, int] = {}
        finished: list[str] = []

        def prepared(slot: Slot) -> Task:
            task = exports.task_of(slot)
            sizes[task.id] = slot.bars
            return task

        def unfinished() -> Iterator[Task]:
            # Exported beside the computation, some tasks ahead of it.
            for task in chain.from_iterable(ReadAhead(prepared, plan.slots(), most=_AHEAD)):
                if export_only:
                    progress(sizes[task.id], True)
                elif task.id in recorded and not verify:
                    finished.append(task.id)
                    progress(sizes[task.id], False)
                else:
                    yield task
            exports.complete()

        lanes = compiler.lanes_pay(size.bars, len(plan.request.indicators))
        coming = unfinished()
        # Where nothing is left to be computed, no engine starts.
        first = next(coming, None)
        if first is not None:
            tasks = chain([first], coming)
            with closing(engine(tasks, store, settings.workers, lanes=lanes, verify=verify)) as ended:
                for done in ended:
                    outcome.take(done.task.id, done.outcome)
                    progress(sizes[done.task.id], True)
        if not export_only:
            for record in folder.read_records(store, finished):
                outcome.take(record["id"], record)
            _finish(plan, list(sizes), outcome, store)
    return outcome


def _finish(plan: Plan, tasks: Sequence[str], outcome: Outcome, store: Store) -> None:
    """Write down what came of all tasks. Raises SinkError where some failed, NoCandlesError where there are no bars."""
    if folder.read_manifest(store) != plan:
        # An object store has no lock that would have told before.
        raise UsageError(f"another backfill has begun in {store} since: nothing was removed; give another --output")
    folder.keep_only(store, set(tasks), plan)
    machines: list[dict[str, Any]] = [json.loads(one) for one in sorted(outcome.computed_by)]
    found = {
        "complete": not outcome.failed,
        "tasks": sorted(tasks),
        "rows": dict(sorted(outcome.rows.items())),
        "computed_by": machines,
    }
    folder.write_manifest(store, plan, found)
    if len(machines) > 1:
        differing = sorted(name for name in machines[0] if len({str(one[name]) for one in machines}) > 1)
        log.warning(
            "tasks were computed by machines of %d kinds, which differ in %s: values are promised to be the same to "
            "the last bit among equal ones; --verify compares them with this machine's or another's",
            len(machines), ", ".join(differing),
        )  # fmt: skip
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


def _plan(settings: Settings, begin: datetime, end: datetime, store: Store, source: Source | None) -> Plan:
    """The plan that the store was begun with, or a new one, which then is in it."""
    request = Request(
        exchange=settings.exchange,
        symbols=settings.symbols,
        intervals=tuple(interval.name for interval in settings.intervals),
        indicators=tuple(declared.id for declared in settings.indicators),
        begin=begin.isoformat(),
        end=end.isoformat(),
        lookback=settings.lookback,
        profile=settings.profile,
        version=code_version(),
    )
    if (known := folder.read_manifest(store)) is None:
        if source is None:
            raise UsageError(f"{store} holds no export: give the command with --export-only first")
        # Where all bars of the range are closed, nothing depends on when it was begun.
        last = min(end, settings.as_of)
        closed = min(settings.as_of, max(interval.back(last, -1) for interval in settings.intervals))
        plan = Plan(request, tuple(_symbols(settings, begin, last, source)), closed.isoformat())
        folder.write_manifest(store, plan, {})
        return plan
    before = asdict(known.request)
    if differing := [name for name, value in asdict(request).items() if value != before[name]]:
        name = differing[0]
        raise UsageError(
            f"{store} holds a backfill of another {name} ({before[name]}): ask for the same, or give another --output"
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
