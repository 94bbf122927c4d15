"""How far a backfill is, as its store says, whoever computes it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.errors import SinkError, UsageError, shortened
from . import folder

if TYPE_CHECKING:
    from .store import Store

#: Seconds whose tasks say how fast it goes.
RECENT = 600.0


@dataclass(frozen=True)
class Progress:
    """Tasks of an interval: how many there are, how many have a record, and how many of these of late."""

    tasks: int
    bars: int
    done: int
    recent: int


@dataclass(frozen=True)
class Status:
    """How far a backfill is.

    Attributes:
        intervals: by name.
        exported: files of bars and metrics.
        rate: bars a second of late, about; 0: none.
    """

    intervals: dict[str, Progress]
    exported: int
    rate: float

    @property
    def left(self) -> float:
        """Bars without a task that is done, about."""
        return sum(one.bars * (1 - one.done / one.tasks) for one in self.intervals.values())

    @property
    def tasks(self) -> int:
        """All there are."""
        return sum(one.tasks for one in self.intervals.values())

    @property
    def done(self) -> int:
        """Those with a record."""
        return sum(one.done for one in self.intervals.values())


def status_of(store: Store, now: float) -> Status:
    """Look at a store, ``now`` in seconds since the epoch. Raises UsageError where it has no backfill, SinkError."""
    try:
        plan = folder.read_manifest(store)
        if plan is None:
            raise UsageError(f"{store} holds no backfill: give the --output of one")
        records = folder.recorded(store)
        exported = len(folder.exported(store))
    except OSError as error:
        raise SinkError(f"{store} cannot be read: {shortened(error)}; check its name, and who may read it") from error
    tasks, bars = Counter[str](), Counter[str]()
    for slot in plan.slots():
        tasks[slot.interval] += 1
        bars[slot.interval] += slot.bars
    done, recent = Counter[str](), Counter[str]()
    for task, entry in records.items():
        interval = task.partition("-")[0]
        done[interval] += 1
        recent[interval] += entry.written >= now - RECENT
    # One that began a minute ago has had no more than that.
    lasted = min(RECENT, max(1.0, now - min((entry.written for entry in records.values()), default=now)))
    found = {
        # Records of another export are removed in the end.
        name: Progress(tasks[name], bars[name], min(done[name], tasks[name]), min(recent[name], tasks[name]))
        for name in tasks
    }
    rate = sum(one.bars * one.recent / one.tasks for one in found.values()) / lasted
    return Status(found, exported, rate)
