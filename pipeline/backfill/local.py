"""The engine ``local``: tasks in processes of this machine.

Each process has one task at a time, so memory depends on how many there are, and on nothing else. One that ends in the
middle of a task, as the system ends it where memory is short, costs that task an attempt.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from typing import TYPE_CHECKING

from ..base import ending
from .attempts import Failure, attempt, attempted
from .store import opened

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from .attempts import Done
    from .store import Store
    from .task import Record, Task


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection


def perform_all(
    tasks: Iterable[Task], store: Store, workers: int, *, lanes: bool = False, verify: int = 0
) -> Generator[Done]:
    """Compute tasks in processes, as they end. A task that fails is tried again, some times.

    Args:
        tasks: taken one by one, whenever a process has none.
        store: see ``perform``.
        workers: how many processes.
        lanes: see ``perform``.
        verify: see ``perform``.

    Raises SinkError where the disk is full.
    """
    # Whoever starts it first hears signals again in the middle of what is postponed.
    resource_tracker.ensure_running()
    with ending.owned(lambda: _Crew(store, workers, lanes, verify), _Crew.stop) as crew:
        yield from attempted(tasks, crew, store)


class _Crew:
    """Processes, started as they are needed."""

    def __init__(self, store: Store, workers: int, lanes: bool, verify: int) -> None:
        self._work = store, lanes, verify
        self._workers = workers
        self._all: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._busy: dict[object, tuple[_Worker, Task]] = {}

    @property
    def busy(self) -> bool:
        """See ``Crew``."""
        return bool(self._busy)

    def room(self) -> bool:
        """See ``Crew``."""
        return len(self._busy) < self._workers

    def begin(self, task: Task, failures: Sequence[Failure]) -> None:  # noqa: ARG002 - there is one machine
        """See ``Crew``."""
        if not self._idle:
            with ending.postponed():
                self._idle.append(_started(*self._work))
                self._all.append(self._idle[-1])
        worker = self._idle.pop()
        self._busy[worker.pipe] = worker, task
        # One that has ended is found below.
        with suppress(OSError):
            worker.pipe.send(task)

    def ended(self, wait: bool) -> Iterator[tuple[Task, Record | Failure]]:
        """See ``Crew``."""
        for pipe in connection.wait([worker.pipe for worker, _ in self._busy.values()], None if wait else 0):
            worker, task = self._busy.pop(pipe)
            outcome = _answer(worker)
            if worker.process.exitcode is None:
                self._idle.append(worker)
            yield task, outcome

    def stop(self) -> None:
        """End all processes."""
        for worker in self._all:
            worker.process.kill()
        for worker in self._all:
            worker.process.join()
            worker.pipe.close()


def _started(store: Store, lanes: bool, verify: int) -> _Worker:
    """A process that waits for tasks. Started while signals are blocked, it hears none: this process ends it."""
    # Nothing is inherited: of threads and of what DuckDB and Arrow keep, a forked process would have one half.
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=_work, args=(there, store.url, lanes, verify), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here)


def _answer(worker: _Worker) -> Record | Failure:
    try:
        found: Record | Failure = worker.pipe.recv()
        return found
    except (EOFError, OSError):
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode
        return Failure(f"its process ended with {code}" + (", as where memory is short" if code == -9 else ""))


def _work(pipe: Connection, url: str, lanes: bool, verify: int) -> None:
    """What a process does: one task after the other, until the one that started it ends."""
    attach()
    store = opened(url)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        outcome = attempt(task, store, lanes=lanes, verify=verify)
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
