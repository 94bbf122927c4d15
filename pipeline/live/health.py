"""The health file of a watch: written beside the work file after every pass, read by ``watch --status``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..base.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from ..base.intervals import Interval

#: Errors that the file tells, the newest ones.
_ERRORS = 10
#: What readers of the results take for stale (docs/live.md).
_LEAST, _BARS = timedelta(seconds=600), 1.5
#: How much later than planned a pass may end.
GRACE = timedelta(seconds=60)


def health_file(work_file: Path) -> Path:
    """Where the health of a watch with that work file stands."""
    return work_file.with_suffix(".health.json")


def stale_after(interval: Interval, closed_only: bool) -> timedelta:
    """Age of an interval's newest bar, from its start, beyond which it is stale."""
    return max(_LEAST, _BARS * interval.length) + (interval.length if closed_only else timedelta(0))


@dataclass
class Watched:
    """One interval; durations in seconds."""

    interval: str
    stale_after: float
    newest_bar: datetime | None = None
    looked_at: datetime | None = None
    next_due: datetime | None = None


@dataclass
class Health:
    """How a watch is doing.

    Attributes:
        fresh_until: when the pass after the last good one must have ended.
        last_run: run_id, finished_at, total and rows of the last good pass.
        errors: the newest ones, each with its time.
        wal_mb: size of the result database's write-ahead log in MB; it grows while a reader keeps a transaction open.
    """

    pid: int
    version: str
    source: str
    started_at: datetime
    intervals: list[Watched]
    written_at: datetime | None = None
    passes: int = 0
    fresh_until: datetime | None = None
    published_at: datetime | None = None
    last_run: dict[str, Any] = field(default_factory=dict)
    errors: list[dict[str, str]] = field(default_factory=list)
    wal_mb: int = 0

    def fail(self, message: str, now: datetime) -> None:
        """Note an error."""
        self.errors = [*self.errors, {"at": now.isoformat(timespec="seconds"), "message": message}][-_ERRORS:]

    def as_json(self) -> dict[str, Any]:
        """The health as an object that JSON can hold."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=datetime.isoformat))
        return plain

    def write(self, file: Path, now: datetime) -> None:
        """Put the file in its place, whole. Raises OSError."""
        self.written_at = now
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps(self.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
            draft.replace(file)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    def read(cls, file: Path) -> Health:
        """What a file says. Raises UsageError where there is none, or another one."""
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            plain["intervals"] = [Watched(**_moments(watched)) for watched in plain["intervals"]]
            return cls(**_moments(plain))
        except FileNotFoundError as error:
            raise UsageError(f"there is no {file}: start `candlemill watch`, or give its --duckdb") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{file} is not a health file of candlemill: {error}") from error

    def stale(self, now: datetime) -> list[str]:
        """Why the results are not fresh; nothing where they are."""
        reasons = []
        if self.fresh_until is None:
            reasons.append("no pass has ended well yet")
        elif now > self.fresh_until:
            reasons.append(f"the last pass that ended well was due again {_ago(now - self.fresh_until + GRACE)} ago")
        for watched in self.intervals:
            if watched.newest_bar is None:
                reasons.append(f"{watched.interval} has no bars")
            elif now - watched.newest_bar > timedelta(seconds=watched.stale_after):
                reasons.append(f"the newest bar of {watched.interval} began {_ago(now - watched.newest_bar)} ago")
        return reasons


def _moments(plain: dict[str, Any]) -> dict[str, Any]:
    """The object with its times as times."""
    times = ("newest_bar", "looked_at", "next_due", "started_at", "written_at", "fresh_until", "published_at")
    return {name: datetime.fromisoformat(value) if name in times and value else value for name, value in plain.items()}


def _ago(span: timedelta) -> str:
    return str(timedelta(seconds=int(span.total_seconds())))
