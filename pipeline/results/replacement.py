"""Replacing the newest rows of result tables inside an open transaction.

Rows go in through DuckDB. Where SQLite itself is better at something (finding rows by key through an index),
``sqlite_query`` runs a native statement, which takes part in the transaction. What is done to several tables is looked
up in one statement, and done in one call.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...indicators.kinds import TEXT
from ..base.statements import Sql, identifier, join, render, statement
from .retention import ATTACHED, in_order_from, look, native
from .rows import KEY, telling
from .script import Script
from .table import affinity, complete, create, kinds, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import duckdb

    from ...indicators.contract import Indicator
    from .retention import ByTime, Held
    from .rows import Batch, Keys
    from .table import ResultTable


@dataclass(frozen=True)
class Written:
    """What was done to a table.

    Attributes:
        rows: how many were written.
        pruned: how many fell out of the retention.
        checked: rows that the table must have in the end, where it is compared with what was sent; None: it is not.
    """

    rows: int
    pruned: int = 0
    checked: int | None = None


@dataclass(frozen=True)
class _Change:
    """What is done to a table that is there.

    Attributes:
        batch: the rows that go in.
        held: what the table has.
        replaced: rowids of rows that go out for them.
        times, keys: of the rows that fall out of the retention, as ``Held.beyond`` tells them.
        before: rows that it has, where it is compared with what was sent in the end; None: it is not.
    """

    batch: Batch
    held: Held
    replaced: Sequence[int]
    times: Sequence[tuple[str, str]]
    keys: Sequence[tuple[str, str, str]]
    before: int | None


def replace_rows(
    connection: duckdb.DuckDBPyConnection,
    batches: Mapping[Indicator, Batch],
    tables: Mapping[str, ResultTable],
    keep: Callable[[str], int],
    known: Mapping[str, ByTime],
    careful: Collection[Indicator],
    adding: bool = False,
) -> dict[Indicator, Written]:
    """Write the rows of some indicators into their tables.

    Args:
        connection: has the database attached, and a transaction open.
        batches: the rows by indicator.
        tables: what is there, by name.
        keep: rows to keep for an interval's name.
        known: what was read of tables before, in the same transaction, for the retention's sake.
        careful: of these, leave what was sent in a table beside, for ``differs``: theirs may not keep what it is given.
        adding: leave rows that are there as they are, and put the others between them.
    """
    there = {indicator: batch for indicator, batch in batches.items() if indicator.table in tables}
    for indicator in there:
        complete(connection, indicator, tables[indicator.table])
    changes = {
        indicator: _change(connection, indicator, batches[indicator], held, keep, indicator in careful, adding)
        for indicator, held in _held(connection, there, keep, known, adding).items()
    }
    script = Script(connection)
    taken, gone = {}, {}
    for indicator, batch in batches.items():
        if indicator in changes:
            taken[indicator] = _fill(script, indicator, changes[indicator], tables[indicator.table])
        else:
            script.add(create(indicator))
            _insert(script, indicator, batch, identifier(indicator.table))
    if adding:
        # Which rows stand behind those that were added can be seen once they are in.
        script.run()
    for indicator, change in changes.items():
        name = identifier(indicator.table)
        if adding:
            newer = in_order_from(connection, name, change.held.overtaken(change.batch))
        else:
            newer = change.held.newer(batches[indicator])
        gone[indicator] = _tidy(script, indicator, change, newer)
    counts = script.run()
    done = {}
    for indicator, batch in batches.items():
        if indicator not in changes:
            done[indicator] = Written(batch.table.num_rows)
            continue
        change, place = changes[indicator], taken[indicator]
        sent, pruned = change.batch.table.num_rows, sum(counts[other] for other in gone[indicator])
        checked = None if change.before is None else change.before - len(change.replaced) + sent - pruned
        done[indicator] = Written(sent if place is None else counts[place], pruned, checked)
    return done


def _held(
    connection: duckdb.DuckDBPyConnection,
    batches: Mapping[Indicator, Batch],
    keep: Callable[[str], int],
    known: Mapping[str, ByTime],
    adding: bool,
) -> dict[Indicator, Held]:
    """What the tables of some indicators hold before their batches are written."""
    alike: dict[Keys, list[Indicator]] = {}
    for indicator, batch in batches.items():
        alike.setdefault(batch.keys, []).append(indicator)
    read = {identifier(name): lists for name, lists in known.items()}
    held = {}
    for keys, indicators in alike.items():
        names = {identifier(indicator.table): indicator for indicator in indicators}
        for name, found in look(connection, list(names), keys, keep, read, adding).items():
            held[names[name]] = found
    return held


def _change(
    connection: duckdb.DuckDBPyConnection,
    indicator: Indicator,
    batch: Batch,
    held: Held,
    keep: Callable[[str], int],
    careful: bool,
    adding: bool,
) -> _Change:
    name = identifier(indicator.table)
    replaced = held.replaced(batch)
    times, keys = held.beyond(batch, keep)
    if adding:
        # What would fall out at once is not brought in: it would move all rows after it.
        left_out = {*replaced.values(), *batch.places(times, keys)}
        replaced = {}
    else:
        unvalued = [place for place, row in replaced.items() if not batch.valued[row]]
        left_out = {replaced.pop(place) for place in _valued(connection, indicator, name, unvalued)}
    incoming = batch.without(left_out) if left_out else batch
    return _Change(incoming, held, list(replaced), times, keys, _count(connection, name) if careful else None)


def _fill(script: Script, indicator: Indicator, change: _Change, table: ResultTable) -> int | None:
    """Take out the rows that are replaced, and bring the others in.

    Returns the place of the count of rows that the table has taken; None: it takes all.
    """
    name = identifier(indicator.table)
    if change.replaced:
        script.native(render(statement("results/delete_places"), table=name), json.dumps(change.replaced))
    if change.before is not None:
        return _insert_staged(script, indicator, change.batch, table)
    _insert(script, indicator, change.batch, name)
    return None


def _tidy(script: Script, indicator: Indicator, change: _Change, newer: Sequence[int]) -> list[int]:
    """Move the newer rows behind those that came in, and delete what falls out of the retention.

    Returns the places of the counts of rows deleted.
    """
    name = identifier(indicator.table)
    if newer:
        script.native(render(statement("results/lift_newer"), table=name), json.dumps(newer))
    if change.before is not None:
        _delete(script, _stage(indicator), change)
    return _delete(script, name, change)


def differs(connection: duckdb.DuckDBPyConnection, indicator: Indicator, rows: int) -> bool:
    """Whether a table lacks something of what ``replace_rows`` sent, or has not as many rows as it must have."""
    name, stage = identifier(indicator.table), _stage(indicator)
    same = [Sql(f"typeof(t.{identifier(key)}) = 'text'") for key in KEY]
    for label, kind in kinds(indicator).items():
        there, sent = Sql(f"t.{identifier(label)}"), Sql(f"s.{identifier(label)}")
        # A number may stand there as an integer, or as a text; a text stays one.
        same.append(Sql(f"{there} COLLATE BINARY {Sql('=') if label in KEY else Sql('IS')} {sent}"))
        if kind.declared == "TEXT" and label not in KEY:
            same.append(Sql(f"typeof({there}) = typeof({sent})"))
    query = render(statement("results/lost"), table=name, stage=stage, same=join(same, "\n    AND "))
    lost = bool(native(connection, query))
    connection.execute(f"DROP TABLE {ATTACHED}.{stage}")
    return lost or _count(connection, name) != rows


def _valued(connection: duckdb.DuckDBPyConnection, indicator: Indicator, name: Sql, places: Sequence[int]) -> list[int]:
    """Those of some rows of the table, given by rowid, that have values."""
    if not places:
        return []
    values = join([*(identifier(indicator.label(column)) for column in telling(indicator)), Sql("NULL")])
    query = render(statement("results/valued_places"), table=name, values=values)
    return [int(place) for (place,) in native(connection, query, json.dumps(places))]


def _delete(script: Script, name: Sql, change: _Change) -> list[int]:
    """Delete the rows that fall out of the retention. Returns the places of how many there were."""
    return [
        script.native(render(statement(f"results/delete_{by}"), table=name), json.dumps(what, ensure_ascii=False))
        for by, what in (("times", change.times), ("keys", change.keys))
        if what
    ]


def _insert(script: Script, indicator: Indicator, batch: Batch, name: Sql) -> None:
    script.insert(Sql(f"{ATTACHED}.{name}"), labels(indicator), batch.table)


def _insert_staged(script: Script, indicator: Indicator, batch: Batch, table: ResultTable) -> int:
    """Write through a table of the declared types, which stays: SQLite itself then converts what is to be converted.

    A column that an older program created as INTEGER, or without a type, takes any number in SQLite; DuckDB would round
    it, or write bytes. Into a column of texts a number goes as DuckDB writes it: SQLite leaves out its last digits.

    Returns the place of the count of rows that the table has taken.
    """
    every, stage = labels(indicator), _stage(indicator)
    sent = {
        label: TEXT if affinity(table.columns.get(label.lower(), kind.declared)) == "TEXT" else kind
        for label, kind in kinds(indicator).items()
    }
    columns = [Sql(f"{identifier(label)} {Sql(kind.sink)}") for label, kind in sent.items()]
    script.add(Sql(f"CREATE TABLE {ATTACHED}.{stage} ({join(columns)})"))
    _insert(script, indicator, batch, stage)
    name = identifier(indicator.table)
    return script.native(
        Sql(f"INSERT INTO {name} ({every}) SELECT {every} FROM {stage} ORDER BY rowid RETURNING 1 AS copied")
    )


def _stage(indicator: Indicator) -> Sql:
    return identifier(f"candlemill_stage_{indicator.id}")


def _count(connection: duckdb.DuckDBPyConnection, name: Sql) -> int:
    [(count,)] = native(connection, Sql(f"SELECT count(*) AS n FROM {name}"))
    return int(count)
