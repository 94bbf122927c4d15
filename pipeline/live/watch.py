"""The loop of a watch: waits for what is due, makes the passes, and outlives what goes wrong with them."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb

from ..base import ending
from ..base.errors import CandlemillError, SinkError, SourceError, UsageError, shortened
from ..options import Options
from ..results.sink import Sink, wal_mb
from .clock import Clock, Reading
from .health import GRACE, Health, check_place, health_file
from .listen import Listener
from .metrics import write_metrics
from .on_change import OnChange
from .passes import Passes
from .schedule import Schedule
from .troubles import Troubles
from .warm import kept_bars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from ..base.intervals import Interval
    from ..record import Record
    from ..settings import Settings

log = logging.getLogger(__name__)

#: Seconds until a lost source is tried again: twice as long each time, up to the greatest.
_BACK_OFF, _BACK_OFF_MOST = 1.0, 30.0
#: Seconds in which notices are gathered: a market sends one for each symbol.
_GATHER = 1.0
#: Seconds after which the clocks are looked at anew, in case that the time of day was set.
_TURN = 10.0


@dataclass(frozen=True)
class Plan:
    """How to watch; durations in seconds.

    Attributes:
        every: between two looks, by interval name, where they are not the usual ones.
        delay: from the start of a bar to the first look at it.
        overlap: bars before the newest closed one that are read again for their corrections.
        reload: between two times of reading everything.
        publish: between two work files.
        listen: whether notices of the source wake the watch.
        runs: passes after which it ends; None: never.
        seconds: time after which it ends; None: never.
        metrics_file: where metrics for Prometheus go.
        on_change: the command that is told of changed words.
    """

    every: Mapping[str, float] = field(default_factory=dict)
    delay: float = Options.delay
    overlap: int = Options.overlap
    reload: float = Options.reload
    publish: float = Options.publish
    listen: bool = False
    runs: int | None = None
    seconds: float | None = None
    metrics_file: Path | None = None
    on_change: str | None = None


def watch(settings: Settings, plan: Plan, clock: Clock | None = None) -> None:
    """Look at the market until the plan's end, if it has one.

    Args:
        settings: what to compute; its as-of is not used.
        plan: how to watch.
        clock: None: the clocks of this machine.

    Raises:
        UsageError: what was asked cannot be done.
        SinkError: the result database is something else, or can never be written.
    """
    check_place(settings.duckdb, settings.sqlite)
    with Sink.of(settings) as sink:
        sink.check(settings.indicators)
        with ExitStack() as opened:
            told = None
            if plan.on_change:
                told = opened.enter_context(OnChange(plan.on_change, settings.sqlite, settings.indicators)).see
            passes = opened.enter_context(closing(Passes(settings, sink, plan.overlap, told)))
            _Watch(settings, plan, passes, clock or Clock()).run()


class _Watch:
    def __init__(self, settings: Settings, plan: Plan, passes: Passes, clock: Clock) -> None:
        self._settings, self._plan, self._passes, self._clock = settings, plan, passes, clock
        begun = clock.read()
        self._schedule = Schedule(settings.intervals, plan.every, plan.delay)
        self._wake = threading.Event()
        self._troubles = Troubles()
        self._end = begun.elapsed + plan.seconds if plan.seconds is not None else math.inf
        self._reloaded: Reading | None = None
        self._published: Reading | None = None
        #: Passes that failed since the last good one.
        self._failures = 0
        self._file = health_file(settings.duckdb)
        self._health = Health.begun(settings, begun.now)

    def run(self) -> None:
        self._begin_warm()
        listener = Listener(self._settings.source, self._settings.exchange, self._wake.set)
        with listener if self._plan.listen else nullcontext():
            while not self._over():
                due, at = self._due()
                if due:
                    self._pass(due, at)
                else:
                    self._sleep(min(self._schedule.left(at), _TURN))

    def _begin_warm(self) -> None:
        """Begin with the bars of the last work file; what is wrong in them lasts as long as in a watch that went on."""
        at = self._clock.read()
        kept = kept_bars(self._settings, at.now, timedelta(seconds=self._plan.reload))
        if kept:
            self._passes.feed.begin_with(kept.candles, kept.as_of)
            self._reloaded = Reading(kept.as_of, at.elapsed - (at.now - kept.as_of).total_seconds())

    def _over(self) -> bool:
        done = self._plan.runs is not None and self._health.passes >= self._plan.runs
        return done or self._clock.read().elapsed >= self._end

    def _due(self) -> tuple[list[Interval], Reading]:
        """The intervals that are due, and now."""
        at = self._clock.read()
        due = self._schedule.due(at)
        if not due and self._wake.is_set():
            time.sleep(_GATHER)
            at = self._clock.read()
            due = self._schedule.due(at) or [min(self._settings.intervals, key=lambda interval: interval.length)]
        return due, at

    def _sleep(self, seconds: float) -> None:
        self._clock.wait(self._wake, max(0.0, min(seconds, self._end - self._clock.read().elapsed)))

    def _pass(self, due: Sequence[Interval], at: Reading) -> None:
        self._wake.clear()
        ending.leaves("the passes before stay written")
        pause = 0.0
        try:
            self._succeeded(self._perform(due, at), at.now)
        except CandlemillError as error:
            if isinstance(error, UsageError) and not self._health.passes:
                raise
            pause = self._failed(error, due, at)
        except (duckdb.Error, OSError) as error:
            pause = self._failed(SinkError(f"the work file {self._settings.duckdb}: {shortened(error)}"), due, at)
        except Exception as error:  # whatever rows and files hold: it costs this pass, and not the watch
            log.debug("a pass failed", exc_info=True)
            why = f"{type(error).__name__}: {shortened(error)}"
            pause = self._failed(SinkError(f"a pass failed with {why}; --log-level debug tells where"), due, at)
        self._tell()
        if pause:
            self._sleep(pause)

    def _perform(self, due: Sequence[Interval], at: Reading) -> Record:
        if _is_over(self._reloaded, self._plan.reload, at):
            self._passes.forget()
            self._reloaded = at
        if not _is_over(self._published, self._plan.publish, at):
            record = self._passes.update(at.now, due)
            self._schedule.looked(due, at)
            log.debug("%s", record.summary(), extra={"run": record})
            return record
        record = self._passes.publish(at.now)
        self._schedule.looked(self._settings.intervals, at)
        self._published, self._health.published_at = at, at.now
        log.info("%s", record.summary(), extra={"run": record})
        return record

    def _succeeded(self, record: Record, now: datetime) -> None:
        if self._failures:
            log.info("a pass has ended well again, after %d that did not", self._failures)
        self._failures = 0
        self._troubles.forget("source", "results")
        for error in record.errors:
            # What fails in the computation is told there.
            if error["interval"] and not error["table"]:
                self._troubles.tell(error["interval"], f"{error['interval']}: no futures metrics: {error['message']}")
        self._health.passed(record, now)
        self._health.fresh_until = self._schedule.next(self._clock.read().now) + GRACE

    def _failed(self, error: CandlemillError, due: Sequence[Interval], at: Reading) -> float:
        """Tell an error. Returns the seconds to wait because of it."""
        self._failures += 1
        self._health.fail(str(error), at.now)
        if isinstance(error, SourceError):
            self._troubles.tell("source", f"{error} (it is tried again and again)")
            return min(_BACK_OFF * 2 ** min(self._failures - 1, 10), _BACK_OFF_MOST)
        self._troubles.tell("results", f"{error} (it is tried again at the next pass)")
        self._schedule.looked(due, at)
        # Where no work file can be written, the result database is kept up to date all the same: by the next pass.
        self._published = self._clock.read()
        return 0.0

    def _tell(self) -> None:
        """Write the health file, and the metrics."""
        now = self._clock.read().now
        self._health.wal_mb = wal_mb(self._settings.sqlite)
        for watched, interval in zip(self._health.intervals, self._settings.intervals, strict=True):
            watched.looked_at = self._schedule.looked_at(interval)
            watched.next_due = self._schedule.next_due(interval, now)
        try:
            with ending.postponed():
                self._health.write(self._file, now)
        except OSError as error:
            self._troubles.tell("health", f"the health file {self._file} cannot be written: {error.strerror}")
        if self._plan.metrics_file:
            try:
                with ending.postponed():
                    write_metrics(self._plan.metrics_file, self._health, now)
            except OSError as error:
                where = self._plan.metrics_file
                self._troubles.tell("metrics", f"the metrics file {where} cannot be written: {error.strerror}")


def _is_over(since: Reading | None, seconds: float, at: Reading) -> bool:
    return since is None or at.left(since, seconds) <= 0
