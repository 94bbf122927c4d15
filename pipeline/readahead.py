"""Reading one item ahead of the work: while one interval is computed, the next one is on its way."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")

#: Of threads that work beside the computation: they get a tenth of what it gets of a contested processor.
_NICENESS = 10


def read_ahead(read: Callable[[Key], Item], keys: Iterable[Key]) -> Iterator[Item]:
    """The items of the keys in order; each is read while the one before it is used, and no other at the same time.

    The first one is begun at once. An error, of a key or while reading, surfaces where its item would.
    """
    remaining = iter(keys)

    def read_next() -> tuple[Item] | None:
        for key in remaining:
            return (read(key),)
        return None

    def items(coming: Future[tuple[Item] | None]) -> Iterator[Item]:
        while (item := coming.result()) is not None:
            coming = in_thread(read_next)
            yield item[0]

    return items(in_thread(read_next))


def in_thread(work: Callable[[], Result], name: str = "reader") -> Future[Result]:
    """Work in a thread that steps back for the computation, as do the threads it starts.

    It is a daemon: a read that cannot be interrupted does not keep the process from ending.
    """
    coming: Future[Result] = Future()

    def fulfil() -> None:
        step_back()
        try:
            coming.set_result(work())
        except BaseException as error:
            coming.set_exception(error)

    threading.Thread(target=fulfil, name=name, daemon=True).start()
    return coming


def step_back() -> None:
    """Let the computation go first where processors are scarce: what this thread does, nobody waits for yet.

    Linux gives each thread a niceness of its own; elsewhere it is the whole process's, which then stays as it is.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Who is told to step back further does: going forward again is a privilege.
        if os.getpriority(os.PRIO_PROCESS, thread) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, thread, _NICENESS)
