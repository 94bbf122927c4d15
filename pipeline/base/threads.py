"""Reading one item ahead of the work: while one interval is computed, the next one is on its way."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")

#: Done from the moment on at which somebody waits for an item that is being read.
Awaited: TypeAlias = "Future[None]"
#: Of threads that work beside the computation: they get a tenth of what it gets of a contested processor.
_NICENESS = 10


def read_ahead(read: Callable[[Key, Awaited], Item], keys: Iterable[Key]) -> Iterator[Item]:
    """The items of the keys in order; each is read while the one before it is used, and no other at the same time.

    The first one is begun at once. ``read`` is told when somebody waits for its item: until then what it does is in no
    hurry. An error, of a key or while reading, surfaces where its item would.
    """
    remaining = iter(keys)

    def begin() -> tuple[Awaited, Future[tuple[Item] | None]]:
        awaited: Awaited = Future()

        def read_next() -> tuple[Item] | None:
            for key in remaining:
                return (read(key, awaited),)
            return None

        return awaited, in_thread(read_next)

    def items(awaited: Awaited, coming: Future[tuple[Item] | None]) -> Iterator[Item]:
        while True:
            awaited.set_result(None)
            item = coming.result()
            if item is None:
                return
            awaited, coming = begin()
            yield item[0]

    return items(*begin())


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
