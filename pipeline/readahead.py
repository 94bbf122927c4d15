"""Reading one item ahead of the work: while one interval is computed, the next one is on its way."""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = TypeVar("Key")
Item = TypeVar("Item")


def read_ahead(read: Callable[[Key], Item], keys: Iterable[Key]) -> Iterator[Item]:
    """The items of the keys in order, each read while the one before it is used.

    An error while reading surfaces where its item would. The reading thread is a daemon: a read that cannot be
    interrupted does not keep the process from ending.
    """
    items: Queue[_Read[Item]] = Queue(maxsize=1)
    abandoned = threading.Event()

    def deliver(item: _Read[Item]) -> bool:
        while not abandoned.is_set():
            try:
                items.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        for key in keys:
            try:
                read_item = _Read(value=read(key))
            except BaseException as error:
                deliver(_Read(error=error))
                return
            if not deliver(read_item):
                return
        deliver(_Read())

    threading.Thread(target=work, name="reader", daemon=True).start()
    try:
        while True:
            item = items.get()
            if item.error is not None:
                raise item.error
            if item.value is None:
                return
            yield item.value
    finally:
        abandoned.set()


class _Read(Generic[Item]):
    """What the reading thread delivers: an item, an error, or neither at the end."""

    def __init__(self, value: Item | None = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error
