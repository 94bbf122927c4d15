"""What a result table holds that matters to the rows about to be written: looked up once, then judged here."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..base.intervals import INTERVALS
from ..base.statements import Sql, join, literal, render, statement
from .rows import KEY, day_before
from .times import in_utc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import duckdb

    from .rows import Batch, Keys

#: The result database's name in DuckDB.
ATTACHED = Sql("results")


#: By interval and time, as it is spelled there, a JSON list of the symbols that have a row.
ByTime: TypeAlias = "Mapping[str, Mapping[str, str]]"


class Present(NamedTuple):
    """The rows of a table at one time of an interval.

    Attributes:
        interval: its name.
        text: the time as it is spelled there.
        time: the time as a run spells it.
        symbols: of the rows.
        places: their rowids.
    """

    interval: str
    text: str
    time: str
    symbols: Sequence[str]
    places: Sequence[int]


@dataclass(frozen=True)
class Held:
    """What a table has before a batch is written.

    Attributes:
        present: rows not older than those to write.
        by_time: of the intervals in which something can fall out of the retention, a JSON list of the symbols that have
            a row, by interval and time as it is spelled there.
    """

    present: Sequence[Present]
    by_time: ByTime

    def replaced(self, batch: Batch) -> dict[int, int]:
        """Rowids of the rows that the batch has anew, each with the row's place in the batch's key order."""
        found: dict[int, int] = {}
        for there in self.present:
            rows = batch.keys.at.get((there.interval, there.time), {})
            found |= {
                place: rows[symbol] for symbol, place in zip(there.symbols, there.places, strict=True) if symbol in rows
            }
        return found

    def newer(self, batch: Batch) -> list[int]:
        """Rowids of the rows that are newer than the batch's of their pair, oldest first."""
        newest = batch.keys.newest
        found = (
            (there.time, place)
            for there in self.present
            if there.time > batch.keys.last_of_all[there.interval]
            for symbol, place in zip(there.symbols, there.places, strict=True)
            if there.time > newest.get((symbol, there.interval), there.time)
        )
        return [place for _, place in sorted(found)]

    def overtaken(self, written: Batch) -> dict[tuple[str, str], str]:
        """The oldest time of each pair that is newer than one of the written rows, which now stand behind it."""
        first: dict[tuple[str, str], str] = {}
        for key in zip(*(written.table[label].to_pylist() for label in KEY), strict=True):
            first.setdefault(key[:2], key[2])
        found: dict[tuple[str, str], str] = {}
        for there in self.present:
            for symbol in there.symbols:
                pair = symbol, there.interval
                if pair in first and first[pair] < there.time < found.get(pair, "~"):
                    found[pair] = there.time
        return found

    def beyond(
        self, batch: Batch, keep: Callable[[str], int]
    ) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
        """What falls out of the retention of the batch's pairs once the batch is written.

        Returns:
            Times (interval, time) of which every row falls out, and keys (symbol, interval, time) of other rows, both
            spelled as they are in the table.
        """
        if not self.by_time:
            return [], []
        known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for part in self.present:
            known[part.interval, part.time].update(part.symbols)
        added: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
        for (interval, time), rows in batch.keys.at.items():
            if symbols := [symbol for symbol in rows if symbol not in known[interval, time]]:
                added[interval][time] = symbols
        whole, some = [], []
        for interval, texts in self.by_time.items():
            lists, spelled = _by_moment(texts)
            new, kept = added[interval], keep(interval)
            times = sorted({*lists, *new}, reverse=True)
            counts: Counter[str] = Counter()
            # No symbol falls out within as many times. Nearly all of them have the same list of symbols, so whole lists
            # are counted before they are taken apart.
            for alike, count in Counter(lists[time] for time in times[:kept] if time in lists).items():
                for symbol in set(json.loads(alike)):
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
    tables: Sequence[Sql],
    keys: Keys,
    keep: Callable[[str], int],
    known: Mapping[Sql, ByTime],
    adding: bool,
) -> dict[Sql, Held]:
    """What tables, which have an index, hold now before rows of some keys are written into each.

    Args:
        connection: in a transaction.
        tables: their names.
        keys: of the rows.
        keep: rows to keep for an interval's name.
        known: of some of the tables, what ``by_time`` gave before in the same transaction.
        adding: rows may come between those that are there, and fall out as soon as they are in.
    """
    oldest = keys.oldest
    present: dict[Sql, list[Present]] = {}
    odd: dict[Sql, set[str]] = {}
    asked: defaultdict[str, list[Sql]] = defaultdict(list)
    for table, found in _present(connection, tables, keys.since).items():
        present[table] = [there for there in found if there.time and there.time >= oldest[there.interval]]
        # Texts of other forms may not be in the order of their times: where there are some, all are read.
        odd[table] = {there.interval for there in found if there.text != there.time}
        newest = dict(keys.latest)
        for there in present[table]:
            newest[there.interval] = max(there.time, newest[there.interval])
        if adding:
            odd[table].update(name for name, time in oldest.items() if time <= _kept_from(name, newest[name], keep))
        asked[_asked_of(newest, keep, keys.day_before)].append(table)
    held = {}
    # Nearly always all tables are asked for the same.
    for question, alike in asked.items():
        for table, names in _of_each(connection, "results/crowded", alike, question).items():
            crowded, read = {name for (name,) in names} | odd[table], known.get(table, {})
            missing = [interval for interval in crowded if interval not in read]
            lists = {name: read[name] for name in crowded if name in read}
            held[table] = Held(present[table], lists | by_time(connection, table, missing))
    return held


def _present(connection: duckdb.DuckDBPyConnection, tables: Sequence[Sql], since: str) -> dict[Sql, list[Present]]:
    """By table, the rows from some times on, as ``Keys.since`` gives them; the time of a text that is none is empty."""
    # Nearly all tables have the same symbols.
    lists: dict[str, list[str]] = {}
    return {
        table: [
            Present(
                interval,
                text,
                in_utc(text) or "",
                lists.get(symbols) or lists.setdefault(symbols, json.loads(symbols)),
                json.loads(places),
            )
            for interval, text, symbols, places in found
        ]
        for table, found in _of_each(connection, "results/present", tables, since).items()
    }


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
    known = [
        (there.time, place)
        for there in _present(connection, [table], asked)[table]
        for symbol, place in zip(there.symbols, there.places, strict=True)
        if there.time >= begins.get((symbol, there.interval), "~")
    ]
    return [place for _, place in sorted(known)]


def crowded_intervals(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[Sql],
    newest: Mapping[str, str],
    keep: Callable[[str], int],
) -> dict[Sql, list[str]]:
    """By table, those of some intervals in which something may fall out of the retention, if all times are in order.

    Args:
        connection: in a transaction.
        tables: their names.
        newest: the newest time of each interval.
        keep: rows to keep for an interval's name.
    """
    found = _of_each(connection, "results/crowded", tables, _asked_of(newest, keep))
    return {table: [name for (name,) in names] for table, names in found.items()}


def _asked_of(newest: Mapping[str, str], keep: Callable[[str], int], seen: Mapping[str, str] | None = None) -> str:
    """The parameter of the statement that finds crowded intervals.

    Args:
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
    return json.dumps(asked)


def _of_each(
    connection: duckdb.DuckDBPyConnection, name: str, tables: Sequence[Sql], parameter: str
) -> dict[Sql, list[tuple[Any, ...]]]:
    """The rows of a statement for each of some tables: of all in one, as each takes a millisecond before its first."""
    found: dict[Sql, list[tuple[Any, ...]]] = {table: [] for table in tables}
    parts = [
        Sql(f"SELECT {literal(place)} AS of_table, f.* FROM ({render(statement(name), table=table)}) AS f")
        for place, table in enumerate(tables)
    ]
    for place, *row in native(connection, join(parts, " UNION ALL "), parameter) if parts else ():
        found[tables[int(place)]].append(tuple(row))
    return found


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
