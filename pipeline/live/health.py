"""The health file of a watch: written beside the work file after every pass, read by ``watch --status``."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import datetime, timedelta
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from .. import __version__
from ..base.errors import UsageError, shortened
from ..base.files import read_text, replace_text
from ..base.shown import as_json
from ..settings import sqlite_files
from ..source.urls import redacted

if TYPE_CHECKING:
    from pathlib import Path

    from ..base.intervals import Interval
    from ..record import Record
    from ..settings import Settings

#: Errors that the file tells, the newest ones.
_ERRORS = 10
#: What readers of the results take for stale (docs/live.md).
_LEAST, _BARS = timedelta(seconds=600), 1.5
#: How far in the future a time may lie: by so much clocks are corrected.
_AHEAD = timedelta(seconds=5)
#: Characters of a health file, at most.
_MOST = 1_000_000
#: How much later than planned a pass may end.
GRACE = timedelta(seconds=60)


def health_file(work_file: Path) -> Path:
    """Where the health of a watch with that work file stands: of each work file in a file of its own."""
    name = work_file.stem if work_file.suffix == ".duckdb" else f"{work_file.name}.watch"
    return work_file.with_name(f"{name}.health.json")


def check_place(work_file: Path, sqlite: Path) -> None:
    """Raise UsageError where the health file would take the place of something else."""
    file, other = health_file(work_file), "give another --duckdb, beside which there is room for it"
    if file.resolve() in (*sqlite_files(sqlite), work_file.resolve()):
        raise UsageError(f"the health file of this watch would be {file}, which is a file of its results: {other}")
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise UsageError(f"the health file of this watch would be {file}, which is no regular file: {other}")
    if file.exists() and file.stat().st_size:
        found = Health.read(file)
        if found.work_file not in ("", work_file.name):
            raise UsageError(f"{file} is the health file of a watch with the work file {found.work_file}: {other}")


def watch_of(work_file: Path, now: datetime) -> int | None:
    """Process number of the watch that keeps a work file; None: none does."""
    try:
        health = Health.read(health_file(work_file))
        if health.fresh_until is None or now > health.fresh_until:
            return None
        os.kill(health.pid, 0)
    except (UsageError, ProcessLookupError, TypeError, OverflowError):
        return None
    except PermissionError:
        pass
    return health.pid


def stale_after(interval: Interval, closed_only: bool) -> timedelta:
    """Age of an interval's newest bar, from its start, beyond which it is stale."""
    return max(_LEAST, _BARS * interval.length) + (interval.length if closed_only else timedelta(0))


@dataclass
class Watched:
    """One interval; durations in seconds.

    Attributes:
        newest_bar: start of the newest bar that results were computed from.
        left_out: rows that the last computation left out, by reason.
    """

    interval: str
    stale_after: float
    newest_bar: datetime | None = None
    looked_at: datetime | None = None
    next_due: datetime | None = None
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass
class LastRun:
    """The last pass that ended well."""

    run_id: str
    finished_at: datetime | None
    total: float
    rows: int


@dataclass
class Trouble:
    """An error, and when it came."""

    at: datetime
    message: str


@dataclass
class Health:
    """How a watch is doing.

    Attributes:
        passes: those that ended well.
        rows: what they wrote, together.
        failures: errors so far.
        fresh_until: when the pass after the last good one must have ended.
        errors: the newest ones.
        work_file: name of the work file, beside which the health file stands.
        wal_mb: size of the result database's write-ahead log in MB; it grows while a reader keeps a transaction open.
    """

    pid: int
    version: str
    source: str
    started_at: datetime
    intervals: list[Watched]
    written_at: datetime | None = None
    passes: int = 0
    rows: int = 0
    failures: int = 0
    fresh_until: datetime | None = None
    published_at: datetime | None = None
    last_run: LastRun | None = None
    errors: list[Trouble] = field(default_factory=list)
    work_file: str = ""
    wal_mb: int = 0

    @classmethod
    def begun(cls, settings: Settings, now: datetime) -> Health:
        """The health of a process that begins now."""
        return cls(
            pid=os.getpid(),
            version=__version__,
            source=redacted(settings.source),
            started_at=now,
            work_file=settings.duckdb.name,
            intervals=[
                Watched(interval.name, stale_after(interval, settings.closed_only).total_seconds())
                for interval in settings.intervals
            ],
        )

    def passed(self, record: Record, now: datetime) -> None:
        """Note a pass that ended well, with what went wrong within it."""
        self.passes += 1
        self.rows += record.rows
        self.last_run = LastRun(record.run_id, record.finished_at, round(record.total, 6), record.rows)
        for error in record.errors:
            where = f"{error['table'] or 'metrics'} {error['interval']}".strip()
            self.fail(f"{where}: {error['message']}", now)
        for watched in self.intervals:
            basis = record.bases.get(watched.interval)
            if basis is None:
                continue
            watched.left_out = dict(basis.left_out)
            # The newest there was: of what a clock that was ahead has written, readers see the newest, too.
            moments = [moment for moment in (watched.newest_bar, basis.newest) if moment]
            watched.newest_bar = max(moments, default=None)

    def fail(self, message: str, now: datetime) -> None:
        """Note an error."""
        self.failures += 1
        self.errors = [*self.errors, Trouble(now, message)][-_ERRORS:]

    def as_json(self) -> dict[str, Any]:
        """The health as an object that JSON can hold."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=datetime.isoformat))
        return plain

    def write(self, file: Path, now: datetime) -> None:
        """Put the file in its place, whole. Raises OSError."""
        self.written_at = now
        replace_text(file, as_json(self.as_json(), indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Health:
        """What a file says. Raises UsageError where there is none, or another one."""
        try:
            return cls(**_fields(cls, json.loads(read_text(file, _MOST))))
        except FileNotFoundError as error:
            raise UsageError(f"there is no {file}: start `candlemill watch`, or give its --duckdb") from error
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise UsageError(
                f"{file} is not a health file of candlemill ({shortened(error)}): "
                "move it away, or give another --duckdb"
            ) from error

    def stale(self, now: datetime) -> list[str]:
        """Why the results are not fresh; nothing where they are."""
        reasons = []
        if self.fresh_until is None:
            reasons.append("no pass has ended well yet")
        elif now > self.fresh_until:
            reasons.append(f"the last pass that ended well was due again {_ago(now - self.fresh_until + GRACE)} ago")
        if self.written_at and self.written_at - now > _AHEAD:
            reasons.append(f"this was written {_ago(self.written_at - now)} in the future: the clock was set back")
        for watched in self.intervals:
            if watched.newest_bar is None:
                reasons.append(f"{watched.interval} has no bars")
                continue
            age = now - watched.newest_bar
            if age.total_seconds() > watched.stale_after:
                reasons.append(f"the newest bar of {watched.interval} began {_ago(age)} ago")
            elif -age > _AHEAD:
                reasons.append(f"the newest bar of {watched.interval} begins {_ago(-age)} in the future")
        return reasons


def _fields(kind: Any, plain: Any) -> dict[str, Any]:
    """The fields of a data class, of a JSON object. Raises ValueError, TypeError or KeyError where it has others."""
    if not isinstance(plain, dict):
        raise ValueError(f"there is no {kind.__name__} in it")
    kinds = get_type_hints(kind)
    return {name: _value(kinds[name], value) for name, value in plain.items()}


def _value(kind: Any, plain: Any) -> Any:
    """A value of a type, of JSON."""
    if is_dataclass(kind):
        return kind(**_fields(kind, plain))  # type: ignore[operator]
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if plain is None else _value(parts[0], plain)
    if origin is list and isinstance(plain, list):
        return [_value(parts[0], each) for each in plain]
    if origin is dict and isinstance(plain, dict):
        return {name: _value(parts[1], each) for name, each in plain.items()}
    if kind is datetime and (moment := datetime.fromisoformat(plain)).tzinfo:
        return moment
    if kind is float and isinstance(plain, float | int) and math.isfinite(plain):
        return float(plain)
    if type(plain) is not kind or kind is float:
        raise ValueError(f"{shortened(repr(plain))} is not what stands there")
    return plain


def _ago(span: timedelta) -> str:
    return str(timedelta(seconds=int(span.total_seconds())))
