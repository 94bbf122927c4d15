"""Aggregates after a load: they are refreshed where rows have changed, and lose nothing by it.

A refresh makes all rows of a bucket anew, also those of symbols that nobody loaded. Where a retention policy, or
somebody, has dropped the raw rows of a bucket, the aggregate is the last to have it, and a refresh would delete it.

1. Before the first rows of a time are written, what the aggregates hold of that time is compared with what their
   raw rows give (``unseen``, ``compare``). Where it is the same, nothing can be lost. Elsewhere there is doubt.
2. After the load, a bucket in doubt is refreshed only if each of its symbols has all the raw rows that it can have. The
   other buckets that were touched are refreshed, and what has to stay as it was is reported (``refresh``).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from ..base.errors import SourceError, one_line
from ..base.ranges import Range, common, minus, union
from ..base.statements import identifier, statement
from ..source.aggregates import aggregates, oldest_row, reading, refreshing, utc, windows
from .report import Hidden

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..source.aggregates import Aggregate, Connection

log = logging.getLogger(__name__)

#: As many symbols are named where an aggregate has to stay as it is.
_NAMED = 5


@dataclass(frozen=True)
class Loaded:
    """The time of the rows that a file had of a symbol; ``changed``: some are new, or have other values."""

    symbol: str
    rows: Range
    changed: bool


class Refresher:
    """The aggregates over the tables into which rows of an exchange are loaded."""

    def __init__(self, connection: Connection, exchange: str) -> None:
        self._connection = connection
        self._exchange = exchange
        self._aggregates: list[Aggregate] = []
        try:
            self._aggregates = aggregates(connection)
        except SourceError as error:
            log.warning("no aggregate will be refreshed: %s", error)
        self._chunks = {table: self._reach(table) for table in {one.root for one in self._aggregates}}
        self._seen: dict[str, list[Range]] = defaultdict(list)
        self._compared: dict[Aggregate, list[Range]] = defaultdict(list)
        self._doubtful: dict[Aggregate, list[Range]] = defaultdict(list)

    def unseen(self, table: str, rows: Range) -> list[tuple[Aggregate, Range]]:
        """What aggregates hold in the buckets that rows of a table touch, as far as it has not been compared."""
        if not minus([rows], self._seen[table]):
            return []
        found = [
            (aggregate, held)
            for aggregate in self._over(table)
            if aggregate.readable
            for window in minus(aggregate.covering(self._connection, [rows]), self._compared[aggregate])
            if (held := aggregate.held(self._connection, window)) is not None
        ]
        if not found:
            self._seen[table] = union([*self._seen[table], rows])
        return found

    def compare(self, unseen: Iterable[tuple[Aggregate, Range]]) -> None:
        """Find the buckets in doubt, before rows that touch them are written."""
        for aggregate, held in unseen:
            log.debug("comparing %s with the rows it is made from, %s", aggregate.name, _shown(held))
            try:
                with self._connection.transaction():
                    doubtful = aggregate.doubtful(self._connection, held)
            except errors.QueryCanceled:
                log.warning("comparing %s takes too long for this server: it counts as different", aggregate.name)
                doubtful = [held]
            self._doubtful[aggregate] += doubtful
            self._compared[aggregate] = union([*self._compared[aggregate], held])

    def refresh(self, table: str, loaded: Sequence[Loaded]) -> list[Hidden]:
        """Refresh the aggregates over a table where they need it. Returns what of the loaded rows they do not show."""
        changed = union(one.rows for one in loaded if one.changed)
        hidden: dict[str, list[Hidden]] = {}
        for aggregate in self._over(table):
            found = self._below(aggregate, hidden.get(aggregate.parent_name, []))
            touched = aggregate.covering(self._connection, changed)
            if not aggregate.readable:
                found += self._unreadable(aggregate, touched)
                touched = []
            else:
                touched = union([*touched, *self._late(aggregate, loaded)])
            if touched:
                kept, holders = self._kept(aggregate, touched)
                found += self._refresh(aggregate, self._windows(aggregate, touched, kept))
                found += self._hidden(aggregate, kept, holders, loaded)
            hidden[aggregate.name] = found
        return [one for found in hidden.values() for one in found]

    def _over(self, table: str) -> Iterator[Aggregate]:
        return (aggregate for aggregate in self._aggregates if aggregate.root == table)

    def _reach(self, table: str) -> dict[str, Range]:
        """From when to when the chunks of a table reach, by their names."""
        rows = self._connection.execute(statement("ingest/chunks").encode(), {"table": table}).fetchall()
        return {str(name): Range(utc(start), utc(until)) for name, start, until in rows}

    def _late(self, aggregate: Aggregate, loaded: Sequence[Loaded]) -> list[Range]:
        """Buckets of rows that nobody changed, and an aggregate does not show: an earlier load may have broken off."""
        rows: dict[str, list[Range]] = defaultdict(list)
        for one in loaded:
            if aggregate.by_symbol and not one.changed:
                rows[one.symbol].append(one.rows)
        starts = {
            lag.start
            for symbol, ranges in rows.items()
            for window in aggregate.covering(self._connection, ranges)
            for lag in aggregate.lagging(self._connection, window, [symbol], self._exchange)
        }
        late = union(aggregate.buckets(self._connection, sorted(starts)))
        self.compare((aggregate, window) for window in minus(late, self._compared[aggregate]))
        return late

    def _kept(self, aggregate: Aggregate, touched: Sequence[Range]) -> tuple[list[Range], list[str]]:
        """The buckets that a refresh would take something from, and the symbols whose rows it would be."""
        # What a retention policy has dropped while files were loaded was there when it was compared.
        left = self._reach(aggregate.root)
        dropped = union(reach for name, reach in self._chunks[aggregate.root].items() if name not in left)
        doubtful = [*self._doubtful[aggregate], *aggregate.covering(self._connection, dropped)]
        return aggregate.irreplaceable(self._connection, common(touched, doubtful))

    def _windows(self, aggregate: Aggregate, touched: Sequence[Range], kept: Sequence[Range]) -> list[Range]:
        oldest = oldest_row(self._connection, aggregate)
        if oldest is None:
            return []
        first, now = aggregate.buckets(self._connection, [oldest, datetime.now(UTC)])
        return windows(touched, kept, aggregate.materialized_until, first.start, now.start)

    def _refresh(self, aggregate: Aggregate, todo: Sequence[Range]) -> list[Hidden]:
        if not todo:
            return []
        statements = "; ".join(refreshing(aggregate, window) for window in todo[:_NAMED])
        if not aggregate.owned:
            reason = f"only its owner may refresh it: as {identifier(aggregate.owner)} run {statements}"
        else:
            try:
                aggregate.refresh(self._connection, todo)
            except psycopg.Error as error:
                if self._connection.closed:
                    raise
                reason = f"refreshing it failed: {one_line(error)}; when that is mended, run {statements}"
            else:
                return []
        return [Hidden(aggregate.name, None, todo[0].start, todo[-1].until, None, reason)]

    def _unreadable(self, aggregate: Aggregate, touched: Sequence[Range]) -> list[Hidden]:
        grants = reading(aggregate, self._connection.info.user)
        reason = f"it cannot be refreshed without a look into it: {grants}; and load again"
        return [Hidden(aggregate.name, None, one.start, one.until, None, reason) for one in touched]

    def _hidden(
        self, aggregate: Aggregate, kept: Sequence[Range], holders: Sequence[str], loaded: Sequence[Loaded]
    ) -> list[Hidden]:
        """What of the loaded rows an aggregate does not show because some of its buckets have to stay."""
        of_whom = f"of {_some(holders)} " if holders else ""
        reason = (
            f"it holds rows {of_whom}there that {aggregate.parent_name} does not give and lacks rows for, so that a "
            "refresh could delete what nothing else has; load all of these for that time, and it is refreshed"
        )
        if not aggregate.by_symbol:
            return [Hidden(aggregate.name, None, one.start, one.until, None, reason) for one in kept]
        starts: dict[str, list[datetime]] = defaultdict(list)
        symbols = sorted({one.symbol for one in loaded})
        for window in kept:
            for lag in aggregate.lagging(self._connection, window, symbols, self._exchange):
                starts[lag.symbol].append(lag.start)
        return [
            Hidden(aggregate.name, symbol, min(found), max(found), len(found), reason)
            for symbol, found in sorted(starts.items())
        ]

    def _below(self, aggregate: Aggregate, hidden: Sequence[Hidden]) -> list[Hidden]:
        """What an aggregate does not show because the one that it is made from does not."""
        reason = f"it is made from {aggregate.parent_name}, which does not show it"
        found = []
        for one in hidden:
            first, last = aggregate.buckets(self._connection, [one.first, one.last])
            found.append(Hidden(aggregate.name, one.symbol, first.start, last.start, None, reason))
        return found


def _shown(window: Range) -> str:
    return f"{window.start:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
