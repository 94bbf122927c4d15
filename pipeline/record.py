"""What can be observed of a run, and the record that observes all of it: what it did, how long it took, its cost."""

from __future__ import annotations

import os
import resource
import sys
import time
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..indicators.profiles import PARITY
from . import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


#: Why a symbol that was asked for is counted as skipped where it has no rows at all.
WITHOUT_CANDLES = "symbol without candles"


@dataclass
class Stage:
    """One interval of a run. All of them are written in one transaction; ``t_write`` is the share of its rows in it."""

    interval: str
    bars: int = 0
    series: int = 0
    rows: int = 0
    t_read: float = 0.0
    t_compute: float = 0.0
    t_write: float = 0.0


@dataclass(frozen=True)
class Basis:
    """What the results of an interval were computed from.

    Attributes:
        newest: start of the newest bar; None: there is none.
        left_out: rows that were read and not used, by reason.
    """

    newest: datetime | None
    left_out: Mapping[str, int]


class Observer:
    """What can be observed of a run, a method each, called where it happens. This one is silent: all of it passes by.

    Reading and computing go on side by side, so ``fail`` comes from several threads. The calls of one ``Source`` come
    one after the other.
    """

    def sent(self) -> None:
        """A statement goes to the source."""

    def received(self, rows: int, size: int) -> None:
        """Rows have come from the source, and took so many bytes."""

    def left_out(self, reasons: Mapping[str, int]) -> None:
        """Some of what was read or asked for is not used: how much, by reason."""

    def computed_from(self, interval: str, basis: Basis) -> None:
        """The bars of an interval are arranged; what cannot be among them is left out."""

    def finished(self, stage: Stage) -> None:
        """An interval has been read and computed; its durations and counts are set, save ``t_write``."""

    def committed(self, written: int, pruned: int) -> None:
        """A transaction of the result database: rows written, and older ones that went."""

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        """Something went wrong for one table, symbol and interval; an empty name means all of them."""


_IMPORTED = perf_counter()
#: The observer where nobody wants to know.
SILENT = Observer()


@dataclass
class Record(Observer):
    """Timings in seconds, counters, and what was skipped or failed: the observer that keeps everything.

    Attributes:
        profile: whose values the indicators have.
        t_start: from the start of the process to that of ``total``; 0 for the passes of a process that stays up.
        total: from the start of the pass to its end; what the process does later is not in it.
        sqlite: the result database, its whole path; likewise ``duckdb``, the work file.
        bases: those of the intervals that were computed; they are not among what others read of a record.
        unseen: symbols that were asked for and have no candles; likewise.
    """

    as_of: datetime
    source: str
    intervals: list[str]
    indicators: int = 0
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    version: str = __version__
    profile: str = PARITY
    symbols: int = 0
    series: int = 0
    rows: int = 0
    t_start: float = 0.0
    t_read: float = 0.0
    t_compute: float = 0.0
    t_write: float = 0.0
    total: float = 0.0
    stages: list[Stage] = field(default_factory=list)
    pg_queries: int = 0
    pg_rows: int = 0
    pg_bytes: int = 0
    sqlite_commits: int = 0
    sqlite_rows_written: int = 0
    sqlite_rows_pruned: int = 0
    peak_rss_mb: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, str]] = field(default_factory=list)
    sqlite: str = ""
    duckdb: str = ""
    bases: dict[str, Basis] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    _clock: float = field(default_factory=perf_counter, repr=False)

    def sent(self) -> None:
        """Count a statement."""
        self.pg_queries += 1

    def received(self, rows: int, size: int) -> None:
        """Count rows and bytes."""
        self.pg_rows += rows
        self.pg_bytes += size

    def left_out(self, reasons: Mapping[str, int]) -> None:
        """Count what is skipped."""
        self.skipped.update(reasons)

    def computed_from(self, interval: str, basis: Basis) -> None:
        """Keep it, and count what is skipped."""
        self.bases[interval] = basis
        self.left_out(basis.left_out)

    def finished(self, stage: Stage) -> None:
        """Keep the stage, and count its series and rows."""
        self.stages.append(stage)
        self.series += stage.series
        self.rows += stage.rows

    def committed(self, written: int, pruned: int) -> None:
        """Count a commit and its rows."""
        self.sqlite_commits += 1
        self.sqlite_rows_written += written
        self.sqlite_rows_pruned += pruned

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        """Note that something went wrong for one table, symbol and interval; an empty name means all of them."""
        self.errors.append({"table": table, "symbol": symbol, "interval": interval, "message": message})

    def close(self) -> None:
        """Set the end, the total and the peak memory."""
        self.finished_at = datetime.now(UTC)
        self.total = perf_counter() - self._clock
        self.t_read = sum(stage.t_read for stage in self.stages)
        self.t_compute = sum(stage.t_compute for stage in self.stages)
        for stage in self.stages:
            stage.t_write = self.t_write * stage.rows / self.rows if self.rows else 0.0
        self.peak_rss_mb = peak_rss_mb()

    def as_json(self) -> dict[str, Any]:
        """The record as an object that JSON can hold; durations rounded to the microsecond."""
        plain: dict[str, Any] = {}
        for name, value in asdict(self).items():
            if name in ("bases", "unseen") or name.startswith("_"):
                continue
            if isinstance(value, datetime):
                plain[name] = value.isoformat()
            elif isinstance(value, float):
                plain[name] = round(value, 6)
            else:
                plain[name] = value
        plain["stages"] = [
            {name: round(value, 6) if isinstance(value, float) else value for name, value in stage.items()}
            for stage in plain["stages"]
        ]
        plain["skipped"] = dict(self.skipped)
        return plain

    def summary(self) -> str:
        """The last line of a run's log."""
        return (
            f"run complete: t_read={self.t_read:.2f}s t_compute={self.t_compute:.2f}s t_write={self.t_write:.2f}s "
            f"total={self.total:.2f}s rows={self.rows} symbols={self.symbols} intervals={len(self.intervals)} "
            f"indicators={self.indicators} pg_queries={self.pg_queries} sqlite_commits={self.sqlite_commits} "
            f"peak_rss_mb={self.peak_rss_mb}"
        )


@contextmanager
def timed(target: Any, name: str) -> Iterator[None]:
    """Add the duration of the block to an attribute, whether the block succeeds or not."""
    start = perf_counter()
    try:
        yield
    finally:
        setattr(target, name, getattr(target, name) + perf_counter() - start)


def age() -> float:
    """Seconds since this process has begun; elsewhere than on Linux, since it has imported this module."""
    if sys.platform != "linux":
        return perf_counter() - _IMPORTED
    # The name of the program, in brackets, may hold blanks.
    since_boot = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(since_boot) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb() -> int:
    """Largest resident memory of this process so far, in MiB.

    Linux carries ``ru_maxrss`` over from the process that forked this one, so its own high-water mark comes first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
