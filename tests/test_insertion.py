"""Rows of several tables in one transaction, together or as they come: what is there in the end, and who waits."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SinkError
from candlemill.pipeline.base.statements import identifier
from candlemill.pipeline.record import Record
from candlemill.pipeline.results.rows import KEY
from candlemill.pipeline.results.sink import Sink
from tests.conftest import dump_of
from tests.writing import elsewhere, holding, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from candlemill.indicators.contract import Indicator

#: Of one column and of several, with numbers and with texts.
DECLARED = [INDICATORS[name] for name in ("williams_r", "kdj", "donchian", "macd")]
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
EAST = timezone(timedelta(hours=8))
MINUTE = timedelta(minutes=1)
KEPT = 4


class Bar(NamedTuple):
    """A bar of one minute, and whether there is enough before it for a value."""

    symbol: str
    minute: int
    valued: bool


def table(declared: Indicator, bars: Sequence[Bar], number: float) -> pa.Table:
    """Finished rows of some bars, all with the same value."""
    columns: dict[str, Any] = {
        "symbol": [bar.symbol for bar in bars],
        "interval": ["1m"] * len(bars),
        "bucket_ts": pa.array([NOON + bar.minute * MINUTE for bar in bars], pa.timestamp("us", "UTC")),
    }
    missing = ~np.array([bar.valued for bar in bars], dtype=np.bool_)
    for column in declared.columns:
        cells = np.full(len(bars), str(number) if column.kind.declared == "TEXT" else number, dtype=np.object_)
        cells[missing] = None
        # Integers and texts, too, as their kinds have them.
        to = {"TEXT": pa.string(), "INTEGER": pa.int64()}.get(column.kind.declared, pa.float64())
        columns[column.name] = pa.array(cells.tolist()).cast(to)
    return pa.table(columns)


def made(file: Path, state: str, declared: Indicator) -> None:
    """A table as others may have left it."""
    if state == "absent":
        return
    kinds = {declared.label(column): column.kind.declared for column in declared.columns}
    if state == "integers":
        kinds = {name: "TEXT" if kind == "TEXT" else "INTEGER" for name, kind in kinds.items()}
    columns = ", ".join(f"{identifier(name)} {kind}" for name, kind in {**dict.fromkeys(KEY, "TEXT"), **kinds}.items())
    offset = EAST if state == "spelled" else UTC
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE {identifier(declared.table)} ({columns})")
        for symbol in ("A", "B"):
            for minute in range(-6, 1):
                text = (NOON + minute * MINUTE).astimezone(offset).isoformat()
                connection.execute(
                    f'INSERT INTO {identifier(declared.table)} ("交易对", "周期", "数据时间") VALUES (?, ?, ?)',
                    (symbol, "1m", text),
                )


def bars(symbols: str = "ABC") -> st.SearchStrategy[list[Bar]]:
    return st.lists(
        st.builds(Bar, st.sampled_from(symbols), st.integers(-5, 2), st.booleans()),
        min_size=1,
        max_size=6,
        unique_by=lambda bar: bar.symbol,
    )


@settings(max_examples=30, deadline=None)
@given(
    states=st.tuples(*(st.sampled_from(["absent", "plain", "spelled", "integers"]) for _ in DECLARED)),
    passes=st.lists(st.tuples(*(bars() for _ in DECLARED)), min_size=1, max_size=3),
    alike=st.booleans(),
)
def test_each_table_is_written_as_if_it_were_the_only_one(
    states: tuple[str, ...], passes: list[tuple[list[Bar], ...]], alike: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("together", "coming", "each")]
        for file in files:
            for state, declared in zip(states, DECLARED, strict=True):
                made(file, state, declared)
        counts: dict[Path, list[tuple[int, int]]] = {file: [] for file in files}
        for number, found in enumerate(passes):
            # Tables of the same keys are looked at in one statement.
            of_each = [found[0]] * len(found) if alike else found
            rows = {declared: table(declared, each, number) for declared, each in zip(DECLARED, of_each, strict=True)}
            for write, file in zip((together, coming, each_alone), files, strict=True):
                with Sink(file, 5) as sink:
                    counts[file].append(write(sink, rows))
        first, *others = files
        assert [dump_of(file) for file in others] == [dump_of(first)] * 2
        assert [counts[file] for file in others] == [counts[first]] * 2


def together(sink: Sink, rows: Mapping[Indicator, pa.Table]) -> tuple[int, int]:
    record = new_record()
    put(sink, rows, lambda _: KEPT, record)
    return record.sqlite_rows_written, record.sqlite_rows_pruned


def coming(sink: Sink, rows: Mapping[Indicator, pa.Table]) -> tuple[int, int]:
    record = new_record()
    with sink.insertion(DECLARED, lambda _: KEPT) as insertion:
        for declared, found in rows.items():
            insertion.add(declared, found)
        insertion.finish()
    sink.commit(record)
    return record.sqlite_rows_written, record.sqlite_rows_pruned


def each_alone(sink: Sink, rows: Mapping[Indicator, pa.Table]) -> tuple[int, int]:
    found = [together(sink, {declared: each}) for declared, each in rows.items()]
    return sum(written for written, _ in found), sum(pruned for _, pruned in found)


def new_record() -> Record:
    return Record(as_of=NOON, source="", intervals=["1m"])


# -- what others do meanwhile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "result.db"
    with Sink(file, 5) as sink:
        put(sink, {declared: table(declared, [Bar("A", 0, True)], 1) for declared in DECLARED}, lambda _: KEPT)
    return file


def test_what_comes_while_another_process_writes_is_all_there_in_the_end(file: Path) -> None:
    rows = {declared: table(declared, [Bar("A", 1, True)], 2) for declared in DECLARED}
    with Sink(file, 60) as sink:
        with sink.insertion(DECLARED, lambda _: KEPT) as insertion:
            with holding(file, "BEGIN IMMEDIATE"):
                for declared, found in rows.items():
                    insertion.add(declared, found)
            insertion.finish()
        sink.commit()
    assert [len(dump_of(file)[declared.table]) for declared in DECLARED] == [2] * len(DECLARED)


def add(sink: Sink, declared: Sequence[Indicator], fails: bool) -> None:
    """Add a row of some indicators, and fail then, or wait until they are in."""
    with sink.insertion(DECLARED, lambda _: KEPT) as insertion:
        for each in declared:
            insertion.add(each, table(each, [Bar("A", 1, True)], 2))
        if fails:
            raise MemoryError("in the middle")
        insertion.finish()


@pytest.mark.parametrize("came", [0, 1, len(DECLARED)])
def test_a_block_that_fails_writes_nothing_and_keeps_nobody_waiting(file: Path, came: int) -> None:
    before = dump_of(file)
    with Sink(file, 5) as sink:
        with pytest.raises(MemoryError, match="in the middle"):
            add(sink, DECLARED[:came], fails=True)
        with holding(file, "BEGIN IMMEDIATE"):
            assert dump_of(file) == before
        # And the next one begins from there.
        assert together(sink, {DECLARED[0]: table(DECLARED[0], [Bar("A", 1, True)], 2)}) == (1, 0)


def test_an_insertion_that_fails_says_so_when_it_is_asked(file: Path) -> None:
    name = identifier(DECLARED[1].table)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"DROP TABLE {name}")
        connection.execute(f"CREATE VIEW {name} AS SELECT 1 AS one")
    before = dump_of(file)
    with Sink(file, 5) as sink, pytest.raises(SinkError, match="it is a view"):
        add(sink, DECLARED, fails=False)
    assert dump_of(file) == before


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE {table}"],
        ["ALTER TABLE {table} DROP COLUMN {column}"],
        ["ALTER TABLE {table} RENAME COLUMN {column} TO another"],
        # Without an index, and with a type that takes everything.
        ["DROP TABLE {table}", 'CREATE TABLE {table} ("交易对", "周期", "数据时间", {column})'],
    ],
)
def test_a_sink_that_stays_open_sees_that_others_have_changed_a_table(file: Path, statements: list[str]) -> None:
    declared = DECLARED[0]
    names = {"table": identifier(declared.table), "column": identifier(declared.label(declared.columns[0]))}
    with Sink(file, 5) as sink:
        for minute in (1, 2, 3):
            together(sink, {declared: table(declared, [Bar("A", minute, True)], minute)})
            if minute == 2:
                elsewhere(file, *(statement.format(**names) for statement in statements))
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        query = "SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT 1"
        assert connection.execute(query.format(**names)).fetchall() == [(3.0,)]
        assert connection.execute("SELECT count(*) FROM pragma_index_list(?)", [declared.table]).fetchone() == (1,)
