"""Threads beside the computation: reading ahead of it, and taking what comes of it."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")

#: Of threads that work beside the computation: they get a tenth of what it gets of a contested processor.
_NICENESS = 10
#: Threads beyond which no machine computes a run sooner.
MOST_THREADS = 64


class ReadAhead(Iterator["list[Item]"], Generic[Key, Item]):
    """The items of some keys in order, in groups, read while the groups before them are used.

    A group is as much as is worth a pass: what is done with small items costs about as much for one as for several, and
    what is done with large ones takes memory for all of them. Reading begins at once and pauses where enough is
    waiting; some items may be read side by side. An error, of a key or while reading, comes where its item would.
    """

    def __init__(
        self,
        read: Callable[[Key], Item],
        keys: Iterable[Key],
        weight: Callable[[Item], float] = lambda _: 1,
        worth: float = 1,
        most: float = 0,
        abreast: int = 1,
    ) -> None:
        """Begin to read.

        Args:
            read: what reads an item, in a thread.
            keys: of the items.
            weight: of an item.
            worth: weight from which a group is worth to be used; the last one has what is left.
            most: weight of what is waiting beyond which reading pauses.
            abreast: items that are read side by side, if so many like the last one can wait.
        """
        self._read, self._keys = read, iter(keys)
        self._weight, self._worth, self._most, self._abreast = weight, worth, most, abreast
        self._coming: deque[Future[Item]] = deque()
        self._changed = threading.Condition()
        self._ready: deque[Item] = deque()
        self._waiting = 0.0
        self._error: BaseException | None = None
        self._ended = False
        self._begin()

    def _begin(self) -> None:
        self._reading = True
        in_thread(self._fill)

    def _fill(self) -> None:
        """Read until enough is waiting; then the thread ends, so that none is left where nobody asks for more."""
        going, last = True, 0.0
        while going:
            try:
                item = self._next_read(last)
            except BaseException as error:
                with self._changed:
                    self._ended, self._reading = True, False
                    self._error = None if isinstance(error, StopIteration) else error
                    self._changed.notify()
                return
            with self._changed:
                self._ready.append(item)
                last = self._weight(item)
                self._waiting += last
                going = self._reading = self._waiting <= self._most
                self._changed.notify()

    def _next_read(self, last: float) -> Item:
        """The next item. Others that come after it begin to be read, if so many that weigh as the last one can wait."""
        if not self._coming:
            self._coming.append(self._begun())
        while len(self._coming) < self._abreast and self._waiting + (len(self._coming) + 1) * last <= self._most:
            self._coming.append(self._begun())
        return self._coming.popleft().result()

    def _begun(self) -> Future[Item]:
        """A read that begins; of one that cannot, the error."""
        begun: Future[Item] = Future()
        try:
            key = next(self._keys)
        except BaseException as error:
            begun.set_exception(error)
            return begun
        return in_thread(lambda: self._read(key))

    def __iter__(self) -> Iterator[list[Item]]:
        return self

    def __next__(self) -> list[Item]:
        with self._changed:
            self._changed.wait_for(lambda: not self._reading or (self._ready and self._waiting >= self._worth))
            group, weight = [], 0.0
            while self._ready and weight < self._worth:
                group.append(self._ready.popleft())
                weight += self._weight(group[-1])
            self._waiting = sum(map(self._weight, self._ready))
            if group:
                if not self._reading and not self._ended:
                    self._begin()
                return group
            error, self._error = self._error, None
            raise error or StopIteration


class Arriving(Iterable["list[Item]"]):
    """Items that one thread adds while others go through them, each from the first on, until there are no more.

    They come in lists: of all that have arrived since the list before.
    """

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._changed = threading.Condition()
        self._ended = False
        self._error: Exception | None = None
        #: Seconds for which others have waited for items.
        self.waited = 0.0

    def add(self, item: Item) -> None:
        """Add an item."""
        with self._changed:
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """There are no more items; an error comes to whoever goes through them, wherever he is."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[list[Item]]:
        seen = 0
        while items := self._after(seen):
            seen += len(items)
            yield items

    def _after(self, seen: int) -> list[Item]:
        """What has come after so many items, if need be once something has; nothing: there is no more."""
        with self._changed:
            begun = perf_counter()
            self._changed.wait_for(lambda: len(self._items) > seen or self._ended)
            self.waited += perf_counter() - begun
            if self._error:
                raise self._error
            return self._items[seen:]


def in_thread(work: Callable[[], Result], name: str = "reader", awaited: bool = False) -> Future[Result]:
    """Work in a thread that steps back for the computation, as do the threads it starts, unless it is awaited.

    It is a daemon: a read that cannot be interrupted does not keep the process from ending.
    """
    coming: Future[Result] = Future()

    def fulfil() -> None:
        if not awaited:
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


def useful_threads(asked: int | None = None) -> int:
    """Threads that help: no more than are asked for, and none that would wait for a processor."""
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(asked or MOST_THREADS, MOST_THREADS, there)
