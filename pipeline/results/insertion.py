"""An insertion beside the computation: rows go into the transaction while those of other indicators are computed."""

from __future__ import annotations

from concurrent.futures import wait
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias

from ..base.errors import SinkError
from ..base.threads import Arriving, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from ...indicators.contract import Indicator

#: Finished rows of indicators, each of them whole, in lists of what has come together.
Incoming: TypeAlias = "Iterable[Sequence[tuple[Indicator, pa.Table]]]"


class AbandonedError(SinkError):
    """An insertion of which no more rows will come."""


class Insertion:
    """Rows on their way into a transaction. Its thread, and the transaction, begin with the first of them.

    Attributes:
        rows: those that have come.
    """

    def __init__(self, insert: Callable[[Incoming], None]) -> None:
        """What is inserted by a function, which goes through all rows, and again where it has to begin anew."""
        self._insert = insert
        self.rows: Arriving[tuple[Indicator, pa.Table]] = Arriving()
        self._done: Future[float] | None = None

    def add(self, indicator: Indicator, rows: pa.Table) -> None:
        """Add all rows of an indicator."""
        self.rows.add((indicator, rows))
        self._begin()

    def finish(self) -> float:
        """Wait until everything is inserted. Returns the seconds it took to insert; raises what the insertion does."""
        self.rows.end()
        return self._begin().result()

    def abandon(self) -> None:
        """Wait until nothing is inserted any more."""
        if self._done:
            self.rows.end(AbandonedError("the rows were not inserted"))
            wait([self._done])

    def _begin(self) -> Future[float]:
        if self._done is None:
            self._done = in_thread(self._timed, "insertion", awaited=True)
        return self._done

    def _timed(self) -> float:
        begun = perf_counter()
        self._insert(self.rows)
        return perf_counter() - begun - self.rows.waited
