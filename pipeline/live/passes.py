"""The passes of a watch: over the intervals that are due, into SQLite, or over all of them, with a work file, too."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from ..base import ending
from ..base.duck import open_duckdb
from ..base.threads import ReadAhead
from ..compute.sql import SqlIndicators
from ..engine import commit_and_publish, compute, insert, report_unseen
from ..reading import MOST, WORTH, Arranged, arranged, new_record
from ..record import Record, Stage, timed
from ..source.reader import Source
from ..source.symbols import symbols_to_read
from ..workfile.writer import WorkFile
from .feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from ...indicators.contract import Indicator
    from ..base.intervals import Interval
    from ..results.sink import Sink
    from ..settings import Settings

log = logging.getLogger(__name__)

#: Records of passes that wait for the next work file, at most.
_RECORDS = 1000
#: Bars from which looks are computed while others are still read. What is new is read in less time than it takes to
#: compute with, so two large intervals are computed as one.
_TOGETHER = 2 * WORTH
#: For so long a choice of symbols stands: ``auto`` asks for a day of candles.
_CHOICE = timedelta(seconds=60)


class Passes:
    """Passes over one market, and what they keep in memory from one to the next; close it in the end.

    Each pass connects anew, so a server that was away needs no care.
    """

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        overlap: int,
        written: Callable[[Mapping[Indicator, pa.Table]], None] | None = None,
    ) -> None:
        """The passes over what settings ask for.

        Args:
            settings: what to compute; their as-of is not used.
            sink: where results go.
            overlap: bars before the newest closed one that are read again for their corrections.
            written: told of the rows that a pass has committed, by indicator.
        """
        self._written = written or (lambda _: None)
        self.feed = Feed(overlap)
        self._settings = settings
        self._sink = sink
        self._connection = open_duckdb(threads=max(1, settings.workers - 1))
        self._sql = SqlIndicators(self._connection)
        self._unpublished: deque[Record] = deque(maxlen=_RECORDS)
        self._chosen: tuple[datetime, Sequence[str] | None] | None = None
        #: Where the pass before looked from.
        self._before: datetime | None = None
        #: Intervals with bars that are read and not written: a write failed, or none was tried yet.
        self._owed = {interval.name for interval in settings.intervals}

    def close(self) -> None:
        """Close what is open."""
        self._connection.close()

    def forget(self) -> None:
        """Read everything anew when it is looked at next."""
        self.feed.forget()
        self._chosen = None

    def update(self, now: datetime, intervals: Sequence[Interval]) -> Record:
        """Read what is new at some intervals, and write the results of those that have changed in one transaction.

        The record has no row where nothing has changed; nothing is written then. Raises CandlemillError.
        """
        asked = replace(self._settings, as_of=now, intervals=tuple(intervals))
        record = new_record(asked)
        names, owed = set(record.intervals), set(self._owed)
        self._owed |= names
        looks = self._looks(asked, *self._begun(asked, record), owed, record, _TOGETHER)
        with self._sink.insertion(asked.indicators, asked.keep) as insertion:
            results = compute(asked, _changed(looks, record), self._sql, record, finished=insertion.add)
            if results.tables:
                record.t_write += insertion.finish()
        if results.tables:
            with timed(record, "t_write"):
                self._sink.commit(record)
            self._written(results.tables)
        record.close()
        if results.tables:
            self._unpublished.append(record)
        self._owed -= names
        return record

    def publish(self, now: datetime) -> Record:
        """Compute all intervals, write them and leave a work file, as a run does. Raises CandlemillError."""
        asked = replace(self._settings, as_of=now)
        record = new_record(asked)
        self._owed = set(record.intervals)
        source, symbols = self._begun(asked, record)
        looks = self._looks(asked, source, symbols, set(record.intervals), record, WORTH)
        with WorkFile(asked.duckdb, asked.workers, asked.exchange, asked.marker) as work:
            results = compute(asked, _changed(looks, record), work, record)
            report_unseen(symbols, results.symbols, asked, record)
            insert(asked, results, self._sink, work, record)
            with ending.postponed():
                published = commit_and_publish(asked, self._sink, work, record, list(self._unpublished))
        self._written(results.tables)
        if published:
            self._unpublished.clear()
        self._owed.clear()
        return record

    def _begun(self, asked: Settings, record: Record) -> tuple[Source, Sequence[str] | None]:
        """The source, reached, and the symbols of a pass."""
        source = Source.connect(asked.source, record)
        back = self._before is not None and asked.as_of < self._before
        self._before = asked.as_of
        if self._chosen is None or back or asked.as_of - self._chosen[0] >= _CHOICE:
            # Of `all` the symbols of every interval are meant, not only of those that are due.
            symbols = symbols_to_read(replace(self._settings, as_of=asked.as_of), source)
            self._chosen = asked.as_of, symbols
        return source, self._chosen[1]

    def _looks(
        self,
        asked: Settings,
        source: Source,
        symbols: Sequence[str] | None,
        owed: set[str],
        record: Record,
        worth: float,
    ) -> Iterator[list[_Look]]:
        def look(interval: Interval) -> _Look:
            loaded, new = self.feed.look(source, asked, symbols, interval, record)
            return _Look(loaded.stage, arranged(loaded, asked) if new or interval.name in owed else None)

        return ReadAhead(look, asked.intervals, weight=_Look.bars, worth=worth, most=MOST, abreast=2)


@dataclass(frozen=True)
class _Look:
    """A look at an interval, and what is to be computed of it; None: nothing, as nothing is new."""

    stage: Stage
    market: Arranged | None

    def bars(self) -> int:
        """How many bars there are to compute with."""
        return self.market.bars.ranked.num_rows if self.market else 0


def _changed(groups: Iterable[Sequence[_Look]], record: Record) -> Iterator[list[Arranged]]:
    """What is to be computed; of the other looks the record gets the time."""
    for looks in groups:
        for look in looks:
            if not look.market:
                record.finished(look.stage)
        if markets := [look.market for look in looks if look.market]:
            yield markets
