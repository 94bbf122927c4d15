"""The rows of one interval in memory, and how newer ones join them. Nothing here reads, or knows what time it is.

A table of rows is what the source gives: symbol, bucket_ts and values, in any order. What is read anew replaces what is
held from the same moment on, whole: a corrected row, a row that has vanished and one that has come late need no rule of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..base.intervals import microseconds
from ..source.reader import Newer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from ...indicators.contract import Ints

_KEY = ["symbol", "bucket_ts"]
_MOMENT = pa.timestamp("us", "UTC")
#: The time of rows that have none, before all others.
_NEVER = np.iinfo(np.int64).min


def newer_than(
    held: pa.Table, symbols: Sequence[str] | None, since: datetime, after: datetime, overlap: timedelta
) -> Newer:
    """What to read for the rows held to be up to date.

    Args:
        held: the rows.
        symbols: the symbols wanted; None: whatever comes.
        since: up to where rows are taken to be final. A symbol whose newest row is not later than that is late: it is
            read from its own newest row on.
        after: where the window begins. A symbol without a row is read from there on.
        overlap: how far before its own newest row a late symbol is read.
    """
    rows = _Coded.of(held)
    newest = np.full(len(rows.symbols), _NEVER)
    np.maximum.at(newest, rows.code, rows.time)
    times = pa.array(newest, pa.int64(), mask=newest == _NEVER).cast(_MOMENT)
    known = dict(zip(rows.symbols, times.to_pylist(), strict=True))
    wanted = known if symbols is None else symbols
    behind = {
        symbol: max(after, known[symbol] - overlap) if symbol in known else after
        for symbol in wanted
        if symbol is not None and (symbol not in known or known[symbol] <= since)
    }
    return Newer(since, behind)


def strangers(held: pa.Table, fresh: pa.Table, newer: Newer) -> list[str]:
    """Symbols that are among the fresh rows and neither held nor known to be late: their past was not read."""
    unknown = set(pc.unique(fresh["symbol"]).to_pylist()) - set(newer.late) - {None}
    return sorted(unknown - set(pc.unique(held["symbol"]).to_pylist())) if unknown else []


def merged(held: pa.Table, fresh: pa.Table, newer: Newer, symbols: Sequence[str] | None) -> pa.Table:
    """The rows held, with those that are newer as they were just read; of the symbols wanted only."""
    kept = held.filter(pc.invert(_beyond(held, newer)))
    if symbols is not None:
        kept = kept.filter(_is_in(kept, symbols))
    return pa.concat_tables([kept, fresh.filter(_beyond(fresh, newer))]).combine_chunks()


def vanished(held: pa.Table, fresh: pa.Table, newer: Newer, symbols: Sequence[str] | None) -> bool:
    """Whether a row that is held, of the symbols wanted, is not among those that were read in its place."""
    replaced = held.filter(_beyond(held, newer)).select(_KEY)
    if symbols is not None:
        replaced = replaced.filter(_is_in(replaced, symbols))
    return bool(replaced.join(fresh.select(_KEY), keys=_KEY, join_type="left anti").num_rows)


def changed(before: pa.Table, after: pa.Table, newer: Newer) -> bool:
    """Whether a merge made a difference."""
    order = [("symbol", "ascending"), ("bucket_ts", "ascending")]
    then, now = (rows.filter(_beyond(rows, newer)).sort_by(order) for rows in (before, after))
    return before.num_rows != after.num_rows or not then.equals(now)


def cut(rows: pa.Table, after: datetime, near: datetime, most: int) -> pa.Table:
    """Rows later than ``after``; of a symbol that has ``most`` different times later than ``near``, those only.

    That is the window of a pass as ``sql/source/candles.sql`` sends it.
    """
    coded = _Coded.of(rows)
    recent = coded.time > microseconds(near)
    code, time = coded.code[recent], coded.time[recent]
    order = np.lexsort((time, code))
    code, time = code[order], time[order]
    first = np.append(True, (code[1:] != code[:-1]) | (time[1:] != time[:-1]))[: len(code)]
    complete = np.bincount(code[first], minlength=len(coded.symbols)) >= most
    kept = (coded.time > microseconds(after)) & (recent | ~complete[coded.code])
    return rows if kept.all() else rows.filter(pa.array(kept))


@dataclass(frozen=True)
class _Coded:
    """Whose and when some rows are, as arrays: a place in ``symbols``, and microseconds since the epoch.

    A row without a time is of ``_NEVER``; those without a symbol have one for all of them, which is None.
    """

    symbols: Sequence[str | None]
    code: Ints
    time: Ints

    @classmethod
    def of(cls, rows: pa.Table) -> _Coded:
        encoded = rows["symbol"].combine_chunks().dictionary_encode(null_encoding="encode")
        time = rows["bucket_ts"].cast(pa.int64()).fill_null(_NEVER).to_numpy()
        return cls(encoded.dictionary.to_pylist(), encoded.indices.to_numpy(), time)


def _beyond(rows: pa.Table, newer: Newer) -> pa.ChunkedArray:
    """Which rows are among what is newer."""
    beyond = _later(rows, newer.since)
    if newer.late:
        place = pc.index_in(rows["symbol"], pa.array(newer.late, pa.string()))
        own = pa.array(newer.late.values(), _MOMENT).take(place.combine_chunks())
        beyond = pc.or_(beyond, pc.fill_null(pc.greater(rows["bucket_ts"], own), False))
    return beyond


def _later(rows: pa.Table, moment: datetime) -> pa.ChunkedArray:
    return pc.greater(rows["bucket_ts"], pa.scalar(moment, _MOMENT))


def _is_in(rows: pa.Table, symbols: Iterable[str | None]) -> pa.ChunkedArray:
    return pc.is_in(rows["symbol"], pa.array(symbols, pa.string()))
