"""The loop of a watch: waits for what is due, makes the passes, and outlives what goes wrong with them."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb

from .. import __version__
from ..base import ending
from ..base.errors import CandlemillError, SinkError, SourceError, UsageError, one_line
from ..options import Options
from ..results.sink import Sink, wal_mb
from ..source.urls import redacted
from .health import GRACE, Health, Watched, health_file, stale_after
from .listen import Listener
from .passes import Passes
from .schedule import Schedule
from .warm import kept_bars

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..base.intervals import Interval
    from ..record import Record
    from ..settings import Settings

log = logging.getLogger(__name__)

#: Seconds until a lost source is tried again: twice as long each time, up to the greatest.
_BACK_OFF, _BACK_OFF_MOST = 1.0, 30.0
#: Seconds in which the same trouble is told once.
_QUIET = 60.0
#: Seconds in which notices are gathered: a market sends one for each symbol.
_GATHER = 1.0


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
    """

    every: Mapping[str, float] = field(default_factory=dict)
    delay: float = Options.delay
    overlap: int = Options.overlap
    reload: float = Options.reload
    publish: float = Options.publish
    listen: bool = False
    runs: int | None = None
    seconds: float | None = None


def watch(settings: Settings, plan: Plan) -> None:
    """Look at the market until the plan's end, if it has one.

    Raises:
        UsageError: what was asked cannot be done.
        SinkError: the result database is something else, or can never be written.
    """
    with Sink(settings.sqlite, settings.lock_timeout, settings.wal_limit) as sink:
        sink.check(settings.indicators)
        with closing(Passes(settings, sink, plan.overlap)) as passes:
            _Watch(settings, plan, passes).run()


class _Watch:
    def __init__(self, settings: Settings, plan: Plan, passes: Passes) -> None:
        self._settings, self._plan, self._passes = settings, plan, passes
        self._schedule = Schedule(settings.intervals, plan.every, plan.delay)
        self._wake = threading.Event()
        self._troubles = _Troubles()
        self._end = time.monotonic() + plan.seconds if plan.seconds is not None else math.inf
        self._reloaded: datetime | None = None
        self._published: datetime | None = None
        self._failures = 0
        self._file = health_file(settings.duckdb)
        self._health = Health(
            pid=os.getpid(),
            version=__version__,
            source=redacted(settings.source),
            started_at=_now(),
            intervals=[
                Watched(interval.name, stale_after(interval, settings.closed_only).total_seconds())
                for interval in settings.intervals
            ],
        )

    def run(self) -> None:
        self._begin_warm()
        listener = Listener(self._settings.source, self._settings.exchange, self._wake.set)
        with listener if self._plan.listen else nullcontext():
            while not self._over():
                due, now = self._due()
                if due:
                    self._pass(due, now)
                else:
                    self._sleep((self._schedule.next(now) - now).total_seconds())

    def _begin_warm(self) -> None:
        """Begin with the bars of the last work file; what is wrong in them lasts as long as in a watch that went on."""
        kept = kept_bars(self._settings, _now(), timedelta(seconds=self._plan.reload))
        if kept:
            self._passes.feed.begin_with(kept.candles, kept.as_of)
            self._reloaded = kept.as_of

    def _over(self) -> bool:
        done = self._plan.runs is not None and self._health.passes >= self._plan.runs
        return done or time.monotonic() >= self._end

    def _due(self) -> tuple[list[Interval], datetime]:
        """The intervals that are due, and now."""
        now = _now()
        due = self._schedule.due(now)
        if not due and self._wake.is_set():
            time.sleep(_GATHER)
            now = _now()
            due = self._schedule.due(now) or [min(self._settings.intervals, key=lambda interval: interval.length)]
        return due, now

    def _sleep(self, seconds: float) -> None:
        self._wake.wait(max(0.0, min(seconds, self._end - time.monotonic())))

    def _pass(self, due: Sequence[Interval], now: datetime) -> None:
        self._wake.clear()
        ending.leaves("the passes before stay written")
        pause = 0.0
        try:
            self._succeeded(self._perform(due, now), now)
        except CandlemillError as error:
            if isinstance(error, UsageError) and not self._health.passes:
                raise
            pause = self._failed(error, due, now)
        except (duckdb.Error, OSError) as error:
            pause = self._failed(SinkError(f"the work file {self._settings.duckdb}: {one_line(error)}"), due, now)
        self._tell()
        if pause:
            self._sleep(pause)

    def _perform(self, due: Sequence[Interval], now: datetime) -> Record:
        if _is_over(self._reloaded, self._plan.reload, now):
            self._passes.forget()
            self._reloaded = now
        if not _is_over(self._published, self._plan.publish, now):
            record = self._passes.update(now, due)
            self._schedule.looked(due, now)
            log.debug("%s", record.summary())
            return record
        record = self._passes.publish(now)
        self._schedule.looked(self._settings.intervals, now)
        self._published = self._health.published_at = now
        log.info("%s", record.summary())
        return record

    def _succeeded(self, record: Record, now: datetime) -> None:
        if self._failures:
            log.info("a pass has ended well again, after %d that did not", self._failures)
        self._failures = 0
        self._troubles.forget("source", "results")
        for error in record.errors:
            where = error["table"] or "metrics"
            self._health.fail(f"{where} {error['interval']}: {error['message']}", now)
            # What fails in the computation is told there.
            if error["interval"] and not error["table"]:
                self._troubles.tell(error["interval"], f"{error['interval']}: no futures metrics: {error['message']}")
        self._health.passes += 1
        self._health.last_run = {
            "run_id": record.run_id,
            "finished_at": record.finished_at,
            "total": round(record.total, 6),
            "rows": record.rows,
        }
        self._health.fresh_until = self._schedule.next(_now()) + GRACE

    def _failed(self, error: CandlemillError, due: Sequence[Interval], now: datetime) -> float:
        """Tell an error. Returns the seconds to wait because of it."""
        self._failures += 1
        self._health.fail(str(error), now)
        if isinstance(error, SourceError):
            self._troubles.tell("source", f"{error} (it is tried again and again)")
            return min(_BACK_OFF * 2 ** min(self._failures - 1, 10), _BACK_OFF_MOST)
        self._troubles.tell("results", f"{error} (it is tried again at the next pass)")
        self._schedule.looked(due, now)
        # Where no work file can be written, the result database is kept up to date all the same.
        self._published = now
        return 0.0

    def _tell(self) -> None:
        """Write the health file."""
        now = _now()
        self._health.wal_mb = wal_mb(self._settings.sqlite)
        for watched, interval in zip(self._health.intervals, self._settings.intervals, strict=True):
            watched.newest_bar = self._passes.feed.newest(interval.name)
            watched.looked_at = self._schedule.looked_at(interval)
            watched.next_due = self._schedule.next_due(interval, now)
        try:
            with ending.postponed():
                self._health.write(self._file, now)
        except OSError as error:
            self._troubles.tell("health", f"the health file {self._file} cannot be written: {error.strerror}")


class _Troubles:
    """Tells each kind of trouble once a minute, however often it comes."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def tell(self, kind: str, message: str) -> None:
        now = time.monotonic()
        if now - self._told.get(kind, -_QUIET) >= _QUIET:
            self._told[kind] = now
            log.error("%s", message)

    def forget(self, *kinds: str) -> None:
        for kind in kinds:
            self._told.pop(kind, None)


def _is_over(since: datetime | None, seconds: float, now: datetime) -> bool:
    return since is None or not timedelta(0) <= now - since < timedelta(seconds=seconds)


def _now() -> datetime:
    return datetime.now(UTC)
