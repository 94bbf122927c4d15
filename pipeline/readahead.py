"""Reading one item ahead of the work: while one interval is computed, the next one is on its way."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = TypeVar("Key")
Item = TypeVar("Item")
Result = TypeVar("Result")


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
    """Work in a thread. It is a daemon: a read that cannot be interrupted does not keep the process from ending."""
    coming: Future[Result] = Future()

    def fulfil() -> None:
        try:
            coming.set_result(work())
        except BaseException as error:
            coming.set_exception(error)

    threading.Thread(target=fulfil, name=name, daemon=True).start()
    return coming
