"""Tasks that are tried until they have a record, by whatever computes them.

A task that fails is tried again, some times, where there is a choice somewhere else; then it is named, and the others
go on.
"""

from __future__ import annotations

import errno
import logging
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..base.errors import SinkError, shortened
from ..compute import compiler
from .task import Record, Task, perform

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from .store import Store

log = logging.getLogger(__name__)

#: How often a task is tried.
ATTEMPTS = 3
#: How often the machine of a task may be lost, which says little of the task.
LOSSES = 10
#: What no other task could do either.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        reason: one line.
        full: there is no room for any task.
        lost: the machine was lost.
        node: where it was, if that is known.
    """

    reason: str
    full: bool = False
    lost: bool = False
    node: str = ""


@dataclass(frozen=True)
class Done:
    """A task that ended: its record, or why it failed."""

    task: Task
    outcome: Record | Failure


class Crew(Protocol):
    """What computes tasks, some at a time."""

    @property
    def busy(self) -> bool:
        """Whether a task has not ended."""

    def room(self) -> bool:
        """Whether one more can begin."""

    def begin(self, task: Task, failures: Sequence[Failure]) -> None:
        """Let a task begin, which has failed so before."""

    def ended(self, wait: bool) -> Iterator[tuple[Task, Record | Failure]]:
        """Tasks that have ended. ``wait`` waits some time for one."""


def attempt(task: Task, store: Store, *, lanes: bool, verify: int) -> Record | Failure:
    """``perform`` a task. Errors are the task's."""
    try:
        with compiler.first_of_machine(lanes):
            return perform(task, store, lanes=lanes, verify=verify)
    except Exception as error:  # whatever it is, it is this task's
        full = isinstance(error, OSError) and error.errno in _FULL
        return Failure(f"{type(error).__name__}: {shortened(error)}", full)


def attempted(tasks: Iterable[Task], crew: Crew, store: Store) -> Generator[Done]:
    """Let a crew compute tasks, which are taken one by one, as they end. Raises SinkError where the store is full."""
    coming, again = _Coming(tasks), deque[Task]()
    failures: dict[str, list[Failure]] = defaultdict(list)
    while True:
        task = (again.popleft() if again else coming.next()) if crew.room() else None
        if task:
            crew.begin(task, failures[task.id])
        elif not crew.busy:
            break
        for ended, outcome in crew.ended(wait=task is None):
            if not isinstance(outcome, Failure):
                failures.pop(ended.id, None)
                yield Done(ended, outcome)
                continue
            if outcome.full:
                raise SinkError(
                    f"{store} cannot be written: {outcome.reason}; what is done stays: free some space and give the "
                    "same command again"
                )
            failures[ended.id].append(outcome)
            if _may_again(failures[ended.id]):
                log.warning("task %s failed, trying again: %s", ended.id, outcome.reason)
                again.append(ended)
            else:
                yield Done(ended, outcome)
    if coming.error:
        raise coming.error


def _may_again(failures: Sequence[Failure]) -> bool:
    lost = sum(failure.lost for failure in failures)
    return lost < LOSSES and len(failures) - lost < ATTEMPTS


class _Coming:
    """Tasks one after the other. An error ends them, and waits until those before it are computed."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self.error: Exception | None = None

    def next(self) -> Task | None:
        """The next one; None: there is none."""
        try:
            return None if self.error else next(self._tasks, None)
        except Exception as error:  # whatever it is, it is raised in the end
            self.error = error
            return None
