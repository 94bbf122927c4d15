"""The engine ``local``: tasks in processes of this machine.

Each process has one task at a time, so memory depends on how many there are, and on nothing else. One that ends in the
middle of a task, as the system ends it where memory is short, costs that task an attempt.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from typing import TYPE_CHECKING

from ..base import ending
from ..base.errors import SinkError, shortened
from .task import Record, Task, perform

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from pathlib import Path

log = logging.getLogger(__name__)

#: How often a task is tried.
ATTEMPTS = 3
#: What no other task could do either.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed; ``full``: there is no room for any."""

    reason: str
    full: bool = False


@dataclass(frozen=True)
class Done:
    """A task that ended: its record, or why it failed."""

    task: Task
    outcome: Record | Failure


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection


def perform_all(
    tasks: Iterable[Task], root: Path, workers: int, *, lanes: bool = False, verify: int = 0
) -> Generator[Done]:
    """Compute tasks in processes, as they end. A task that fails is tried again, some times.

    Args:
        tasks: taken one by one, whenever a process has none.
        root: see ``perform``.
        workers: how many processes.
        lanes: see ``perform``.
        verify: see ``perform``.

    Raises SinkError where the disk is full.
    """
    # Whoever starts it first hears signals again in the middle of what is postponed.
    resource_tracker.ensure_running()
    coming, again, attempts = _Coming(tasks), deque[Task](), Counter[str]()
    idle: list[_Worker] = []
    busy: dict[object, tuple[_Worker, Task]] = {}
    with ending.owned(list[_Worker], _stop) as crew:
        while True:
            while len(busy) < workers and (task := again.popleft() if again else coming.next()):
                if not idle:
                    with ending.postponed():
                        idle.append(_started(root, lanes, verify))
                        crew.append(idle[-1])
                worker = idle.pop()
                busy[worker.pipe] = worker, task
                # One that has ended is found below.
                with suppress(OSError):
                    worker.pipe.send(task)
            if not busy:
                break
            for pipe in connection.wait([worker.pipe for worker, _ in busy.values()]):
                worker, task = busy.pop(pipe)
                outcome = _answer(worker)
                if worker.process.exitcode is None:
                    idle.append(worker)
                attempts[task.id] += 1
                if not isinstance(outcome, Failure):
                    yield Done(task, outcome)
                elif outcome.full:
                    raise SinkError(
                        f"{root} cannot be written: {outcome.reason}; what is done stays: free some space and give the "
                        "same command again"
                    )
                elif attempts[task.id] < ATTEMPTS:
                    log.warning("task %s failed, trying again: %s", task.id, outcome.reason)
                    again.append(task)
                else:
                    yield Done(task, outcome)
    if coming.error:
        raise coming.error


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


def _started(root: Path, lanes: bool, verify: int) -> _Worker:
    """A process that waits for tasks. Started while signals are blocked, it hears none: this process ends it."""
    # Nothing is inherited: of threads and of what DuckDB and Arrow keep, a forked process would have one half.
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=_work, args=(there, root, lanes, verify), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _stop(crew: list[_Worker]) -> None:
    for worker in crew:
        worker.process.kill()
    for worker in crew:
        worker.process.join()
        worker.pipe.close()


def _answer(worker: _Worker) -> Record | Failure:
    try:
        found: Record | Failure = worker.pipe.recv()
        return found
    except (EOFError, OSError):
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode
        return Failure(f"its process ended with {code}" + (", as where memory is short" if code == -9 else ""))


def _work(pipe: Connection, root: Path, lanes: bool, verify: int) -> None:
    """What a process does: one task after the other, until the one that started it ends."""
    attach()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            outcome: Record | Failure = perform(task, root, lanes=lanes, verify=verify)
        except Exception as error:  # whatever it is, it is this task's
            full = isinstance(error, OSError) and error.errno in _FULL
            outcome = Failure(f"{type(error).__name__}: {shortened(error)}", full)
        # Where nobody is there to hear of it, the record tells.
        with suppress(OSError):
            pipe.send(outcome)


def attach() -> None:
    """Have this process end with the one that started it, and leave the telling to that one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.disable()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
