"""One table of the SQLite result database: its schema, and replacing its newest rows inside an open transaction.

Rows go in through DuckDB. Where SQLite itself is better at something (finding rows by key through an index),
``sqlite_query`` runs a native statement, which takes part in the transaction.

The index of a table begins with interval and time. A run's rows, and those that fall out of the retention, then lie
together in it, and few pages change; with the symbol first, every row of a run would change a page of its own.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from pipeline.batch import DATA_TIME, INTERVAL, KEY, SYMBOL, telling
from pipeline.statements import Sql, identifier, join, literal, render, statement
from pipeline.workfile import SQLITE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import duckdb

    from indicators.contract import Indicator
    from pipeline.batch import Batch

#: The key's columns in the order of a table's index.
INDEX = (INTERVAL, DATA_TIME, SYMBOL)
ATTACHED = Sql("results")
_STAGE = "candlemill_stage"
# DuckDB's names for SQLite's affinities: its REAL would be a 4-byte float.
_DUCKDB_TYPES = {"real": "DOUBLE", "integer": "BIGINT", "text": "VARCHAR", "time": "VARCHAR"}
# Columns of an existing table that DuckDB can write into directly, without changing the value.
_FITTING = {"REAL": ("REAL", "TEXT"), "INTEGER": ("INTEGER", "REAL", "TEXT"), "TEXT": ("TEXT",)}


@dataclass(frozen=True)
class ResultTable:
    """An existing table of the result database: declared types by column, and whether the keys are indexed."""

    columns: Mapping[str, str]
    indexed: bool


def replace_rows(
    door: duckdb.DuckDBPyConnection,
    indicator: Indicator,
    batch: Batch,
    table: ResultTable | None,
    keep: Callable[[str], int],
) -> tuple[int, int]:
    """Write one indicator's rows into its table. Returns (rows written, rows pruned)."""
    name = identifier(indicator.table)
    if table is None:
        door.execute(_create(indicator))
        return _insert(door, indicator, batch, name), 0
    _complete(door, indicator, table, name)
    present = native(door, render(statement("sink/present"), table=name), batch.keys.oldest)
    replaced = {place: batch.keys.rows[key] for place, *key_ in present if (key := tuple(key_)) in batch.keys.rows}
    stay = _valued(door, indicator, name, [place for place, row in replaced.items() if not batch.valued[row]])
    if stay:
        # A row without values never replaces one that has some.
        batch = batch.without({replaced.pop(place) for place in stay})
    if replaced:
        native(door, render(statement("sink/delete_places"), table=name), json.dumps(list(replaced)))
    insert = _insert if _fits(indicator, table) else _insert_staged
    written = insert(door, indicator, batch, name)
    _lift_newer(door, name, batch, present)
    return written, _prune(door, name, batch, keep)


def _complete(door: duckdb.DuckDBPyConnection, indicator: Indicator, table: ResultTable, name: Sql) -> None:
    """Add the columns and the index that an existing table lacks."""
    for column in indicator.columns:
        if column.label not in table.columns:
            kind = _DUCKDB_TYPES[column.kind]
            door.execute(f"ALTER TABLE {ATTACHED}.{name} ADD COLUMN {identifier(column.label)} {kind}")
    if not table.indexed:
        index = join([identifier(key) for key in INDEX])
        door.execute(f"USE {ATTACHED}")
        door.execute(f"CREATE INDEX {identifier(f'candlemill_{indicator.id}')} ON {name} ({index})")
        door.execute("USE memory")


def _valued(door: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql, places: Sequence[int]) -> list[int]:
    """Those of some rows of the table, given by rowid, that have values."""
    if not places:
        return []
    values = join([*(identifier(column.label) for column in telling(indicator)), Sql("NULL")])
    query = render(statement("sink/valued_places"), table=name, values=values)
    return [place for (place,) in native(door, query, json.dumps(places))]


def _lift_newer(door: duckdb.DuckDBPyConnection, name: Sql, batch: Batch, present: Iterable[tuple[Any, ...]]) -> None:
    """Move rows that are newer than the one just written of their pair behind it."""
    newest = batch.keys.newest
    newer = sorted(
        (time, place) for place, symbol, interval, time in present if time > newest.get((symbol, interval), time)
    )
    if newer:
        places = json.dumps([place for _, place in newer])
        native(door, render(statement("sink/lift_newer"), table=name), places)


def _prune(door: duckdb.DuckDBPyConnection, name: Sql, batch: Batch, keep: Callable[[str], int]) -> int:
    """Remove what is beyond the retention of the pairs just written. Returns the rows removed."""
    asked = json.dumps([[interval, keep(interval)] for interval in batch.keys.intervals])
    crowded = [interval for (interval,) in native(door, render(statement("sink/crowded"), table=name), asked)]
    if not crowded:
        return 0
    parts = [render(statement("sink/by_time"), table=name, interval=literal(interval)) for interval in crowded]
    whole, some = _beyond(native(door, join(parts, " UNION ALL ")), batch.keys.newest, keep)
    removed = 0
    for keys, query in ((whole, "sink/delete_times"), (some, "sink/delete_keys")):
        if keys:
            found = native(door, render(statement(query), table=name), json.dumps(keys, ensure_ascii=False))
            removed += len(found)
    return removed


def _beyond(
    by_time: Iterable[tuple[str, str, str]], pairs: Mapping[tuple[str, str], str], keep: Callable[[str], int]
) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """What is beyond the retention of some pairs: times (interval, time) of which every row is, and keys of others.

    Args:
        by_time: interval, time and a JSON list of the symbols that have a row then; by interval, oldest time first.
        pairs: the (symbol, interval) to look at.
        keep: rows to keep for an interval's name.
    """
    whole, some = [], []
    for interval, rows in groupby(by_time, key=itemgetter(0)):
        kept, lists = keep(interval), [(time, symbols) for _, time, symbols in rows][::-1]
        counts: Counter[str] = Counter()
        # No symbol is beyond its retention within as many times. Nearly all of them have the same list of symbols, so
        # whole lists are counted before they are taken apart.
        for symbols, times in Counter(symbols for _, symbols in lists[:kept]).items():
            for symbol in json.loads(symbols):
                counts[symbol] += times
        for time, symbols in lists[kept:]:
            present = json.loads(symbols)
            counts.update(present)
            beyond = [symbol for symbol in present if counts[symbol] > kept and (symbol, interval) in pairs]
            if len(beyond) == len(present):
                whole.append((interval, time))
            else:
                some += [(symbol, interval, time) for symbol in beyond]
    return whole, some


def _labels(indicator: Indicator) -> Sql:
    return join([identifier(label) for label in (*KEY, *(column.label for column in indicator.columns))])


def _create(indicator: Indicator, name: str | None = None) -> Sql:
    """Statement that makes a table with the declared columns and, for a result table, its key."""
    columns = [Sql(f"{identifier(key)} VARCHAR") for key in KEY]
    columns += [Sql(f"{identifier(c.label)} {_DUCKDB_TYPES[c.kind]}") for c in indicator.columns]
    if name is None:
        columns.append(Sql(f"PRIMARY KEY ({join([identifier(key) for key in INDEX])})"))
    return Sql(f"CREATE TABLE {ATTACHED}.{identifier(name or indicator.table)} ({join(columns)})")


def _insert(door: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, name: Sql) -> int:
    labels = _labels(indicator)
    door.register("to_write", batch.table)
    found = door.execute(f"INSERT INTO {ATTACHED}.{name} ({labels}) SELECT {labels} FROM to_write").fetchone()
    door.unregister("to_write")
    return int(found[0]) if found else 0


def _insert_staged(door: duckdb.DuckDBPyConnection, indicator: Indicator, batch: Batch, name: Sql) -> int:
    """Write through a table of the declared types, for an existing one whose types would make DuckDB change values.

    A column that an older program created as INTEGER, or without a type, takes any number in SQLite; DuckDB would round
    it, or write bytes.
    """
    labels, stage = _labels(indicator), identifier(_STAGE)
    door.execute(_create(indicator, _STAGE))
    _insert(door, indicator, batch, stage)
    copied = native(
        door, Sql(f"INSERT INTO {name} ({labels}) SELECT {labels} FROM {stage} ORDER BY rowid RETURNING 1 AS copied")
    )
    door.execute(f"DROP TABLE {ATTACHED}.{stage}")
    return len(copied)


def _fits(indicator: Indicator, table: ResultTable) -> bool:
    wanted = {column.label: SQLITE_TYPES[column.kind] for column in indicator.columns} | dict.fromkeys(KEY, "TEXT")
    return all(
        _affinity(table.columns[label]) in _FITTING[kind] for label, kind in wanted.items() if label in table.columns
    )


def _affinity(declared: str) -> str:
    """SQLite's affinity of a declared type, by its own rules (Datatypes In SQLite, section 3.1)."""
    upper = declared.upper()
    for signs, affinity in (
        (("INT",), "INTEGER"),
        (("CHAR", "CLOB", "TEXT"), "TEXT"),
        (("BLOB",), "BLOB"),
        (("REAL", "FLOA", "DOUB"), "REAL"),
    ):
        if any(sign in upper for sign in signs):
            return affinity
    return "NUMERIC" if upper else "BLOB"


def native(door: duckdb.DuckDBPyConnection, query: Sql, *parameters: str) -> list[tuple[Any, ...]]:
    """Rows of a statement that SQLite itself runs, in the open transaction."""
    bound = f", params = row({join([Sql('?')] * len(parameters))})" if parameters else ""
    rows = Sql(f"FROM sqlite_query({literal(ATTACHED)}, {literal(query)}{bound})")
    return door.execute(rows, list(parameters) or None).fetchall()


def existing_tables(door: duckdb.DuckDBPyConnection, names: Sequence[str]) -> dict[str, ResultTable | None]:
    """The existing tables among those names; None for a view of such a name."""
    found = native(door, statement("sink/tables"), json.dumps(list(names), ensure_ascii=False))
    tables: dict[str, ResultTable | None] = {}
    for (name, kind, indexed), columns in groupby(found, key=itemgetter(0, 1, 2)):
        declared = {column: type_ or "" for *_, column, type_ in columns}
        tables[name] = ResultTable(declared, indexed == "1") if kind == "table" else None
    return tables
