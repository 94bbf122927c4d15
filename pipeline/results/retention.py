"""What a result table holds that matters to the rows about to be written: looked up once, then judged here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from ..base.intervals import INTERVALS
from ..base.statements import Sql, join, literal, render, statement
from .rows import KEY, day_before
from .times import in_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from .rows import Batch

#: The result database's name in DuckDB.
ATTACHED = Sql("results")


#: By interval and time, as it is spelled there, a JSON list of the symbols that have a row.
ByTime: TypeAlias = "Mapping[str, Mapping[str, str]]"


@dataclass(frozen=True)
class Held:
    """What a table has before a batch is written.

    Attributes:
        present: rows not older than those to write: (rowid, symbol, interval, time as a run spells it).
        by_time: of the intervals in which something can fall out of the retention, a JSON list of the symbols that have
            a row, by interval and time as it is spelled there.
    """

    present: Sequence[tuple[int, str, str, str]]
    by_time: ByTime

    def replaced(self, batch: Batch) -> dict[int, int]:
        """Rowids of the rows that the batch has anew, each with the row's place in the batch's key order."""
        rows = batch.keys.rows
        return {place: rows[key] for place, *parts in self.present if (key := tuple(parts)) in rows}

    def newer(self, batch: Batch) -> list[int]:
        """Rowids of the rows that are newer than the batch's of their pair, oldest first."""
        newest = batch.keys.newest
        found = (
            (time, place)
            for place, symbol, interval, time in self.present
            if time > newest.get((symbol, interval), time)
        )
        return [place for _, place in sorted(found)]

    def overtaken(self, written: Batch) -> dict[tuple[str, str], str]:
        """The oldest time of each pair that is newer than one of the written rows, which now stand behind it."""
        first: dict[tuple[str, str], str] = {}
        for key in zip(*(written.table[label].to_pylist() for label in KEY), strict=True):
            first.setdefault(key[:2], key[2])
        found: dict[tuple[str, str], str] = {}
        for _, symbol, interval, time in self.present:
            pair = symbol, interval
            if pair in first and first[pair] < time < found.get(pair, "~"):
                found[pair] = time
        return found

    def beyond(
        self, batch: Batch, keep: Callable[[str], int]
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
        """What falls out of the retention of the batch's pairs once the batch is written.

        Returns:
            Times (interval, time) of which every row falls out, and keys (symbol, interval, time) of other rows, both
            spelled as they are in the table.
        """
        added: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for symbol, interval, time in batch.keys.rows.keys() - {tuple(parts) for _, *parts in self.present}:
            added[interval][time].append(symbol)
        whole, some = [], []
        for interval, texts in self.by_time.items():
            lists, spelled = _by_moment(texts)
            new, kept = added[interval], keep(interval)
            times = sorted({*lists, *new}, reverse=True)
            counts: Counter[str] = Counter()
            # No symbol falls out within as many times. Nearly all of them have the same list of symbols, so whole lists
            # are counted before they are taken apart.
            for symbols, count in Counter(lists[time] for time in times[:kept] if time in lists).items():
                for symbol in set(json.loads(symbols)):
                    counts[symbol] += count
            for time in times[:kept]:
                counts.update(new.get(time, ()))
            for time in times[kept:]:
                there = {*json.loads(lists.get(time, "[]")), *new.get(time, ())}
                counts.update(there)
                out = [s for s in there if counts[s] > kept and (s, interval) in batch.keys.newest]
                for text in spelled.get(time, (time,)):
                    if len(out) == len(there):
                        whole.append((interval, text))
                    else:
                        some += [(symbol, interval, text) for symbol in out]
        return whole, some


def look(
    connection: duckdb.DuckDBPyConnection,
    table: Sql,
    batch: Batch,
    keep: Callable[[str], int],
    known: ByTime,
    adding: bool,
) -> Held:
    """What a table, which has an index, holds now; ``known`` was read before in the same transaction.

    Of rows that are ``adding`` to those of earlier times, some may fall out as soon as they are in.
    """
    oldest = batch.keys.oldest
    found = native(connection, render(statement("results/present"), table=table), batch.keys.since)
    present = [
        (place, symbol, interval, time)
        for place, symbol, interval, text in found
        if (time := in_utc(text)) is not None and time >= oldest[interval]
    ]
    # Texts of other forms may not be in the order of their times: where there are some, all are read.
    odd = {interval for _, _, interval, text in found if text != in_utc(text)}
    newest = dict(batch.keys.latest)
    for _, _, interval, time in present:
        newest[interval] = max(time, newest[interval])
    crowded = {*crowded_intervals(connection, table, newest, keep, batch.keys.day_before), *odd}
    if adding:
        crowded.update(name for name, time in oldest.items() if time <= _kept_from(name, newest[name], keep))
    missing = [interval for interval in crowded if interval not in known]
    return Held(present, {name: known[name] for name in crowded if name in known} | by_time(connection, table, missing))


def in_order_from(
    connection: duckdb.DuckDBPyConnection, table: Sql, begins: Mapping[tuple[str, str], str]
) -> list[int]:
    """Rowids of the rows of some pairs from a time of each on, oldest first."""
    if not begins:
        return []
    oldest: dict[str, str] = {}
    for (_, interval), begin in begins.items():
        oldest[interval] = min(begin, oldest.get(interval, begin))
    asked = json.dumps([[interval, begin, day_before(begin)] for interval, begin in oldest.items()])
    found = native(connection, render(statement("results/present"), table=table), asked)
    known = [
        (time, place)
        for place, symbol, interval, text in found
        if (time := in_utc(text)) is not None and time >= begins.get((symbol, interval), "~")
    ]
    return [place for _, place in sorted(known)]


def crowded_intervals(
    connection: duckdb.DuckDBPyConnection,
    table: Sql,
    newest: Mapping[str, str],
    keep: Callable[[str], int],
    seen: Mapping[str, str] | None = None,
) -> list[str]:
    """Those of some intervals in which something may fall out of the retention.

    Args:
        connection: in a transaction.
        table: its name.
        newest: the newest time of each interval.
        keep: rows to keep for an interval's name.
        seen: by interval a text from which on all rows were looked at for other spellings; None: they will be later.
    """
    asked = []
    for name, time in newest.items():
        beyond = _kept_from(name, time, keep)
        # An offset moves a text by less than a day.
        looked = min((datetime.fromisoformat(beyond) + timedelta(days=1)).isoformat(), seen[name]) if seen else ""
        asked.append([name, beyond, looked])
    found = native(connection, render(statement("results/crowded"), table=table), json.dumps(asked))
    return [name for (name,) in found]


def _kept_from(interval: str, newest: str, keep: Callable[[str], int]) -> str:
    """The time after which no more rows of a symbol fit than are kept, as bars lie on a grid."""
    return INTERVALS[interval].back(datetime.fromisoformat(newest), keep(interval)).isoformat()


def by_time(connection: duckdb.DuckDBPyConnection, table: Sql, intervals: Sequence[str]) -> dict[str, dict[str, str]]:
    """The symbols that have a row, by interval and time."""
    found: dict[str, dict[str, str]] = {interval: {} for interval in intervals}
    # Nearly all times have the same list, which is kept once.
    lists: dict[str, str] = {}
    if intervals:
        parts = [render(statement("results/by_time"), table=table, interval=literal(name)) for name in intervals]
        for interval, time, symbols in native(connection, join(parts, " UNION ALL ")):
            found[interval][time] = lists.setdefault(symbols, symbols)
    return found


def _by_moment(texts: Mapping[str, str]) -> tuple[Mapping[str, str], Mapping[str, Sequence[str]]]:
    """The symbols by time as a run spells it, and how times are spelled there; where all are spelled so, nothing."""
    if all(in_utc(text) == text for text in texts):
        return texts, {}
    spelled: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        if (time := in_utc(text)) is not None:
            spelled[time].append(text)
    lists = {
        time: json.dumps([symbol for text in known for symbol in json.loads(texts[text])])
        for time, known in spelled.items()
    }
    # What the batch adds is spelled as a run does it.
    return lists, {time: sorted({time, *known}) for time, known in spelled.items()}


def native(connection: duckdb.DuckDBPyConnection, query: Sql, *parameters: str) -> list[tuple[Any, ...]]:
    """Rows of a statement that SQLite itself runs, in the open transaction."""
    bound = f", params = row({join([Sql('?')] * len(parameters))})" if parameters else ""
    rows = Sql(f"FROM sqlite_query({literal(ATTACHED)}, {literal(query)}{bound})")
    return connection.execute(rows, list(parameters) or None).fetchall()
