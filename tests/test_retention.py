"""What stays in a result table, write after write, against a model: a dictionary of rows by key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.record import Record
from candlemill.pipeline.results.sink import Sink
from tests.writing import put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DECLARED = INDICATORS["williams_r"]
BEGIN = datetime(2026, 1, 22, tzinfo=UTC)
KEPT = {"5m": 3, "1h": 2}

#: Symbol and interval.
Pair: TypeAlias = tuple[str, str]
#: What one write brings: of each pair a bar, counted from the beginning, and its value; None: it has none.
Bars: TypeAlias = "Mapping[Pair, tuple[int, float | None]]"
#: Rows of a table by symbol, interval and bar.
Rows: TypeAlias = "dict[tuple[str, str, int], float | None]"


def start(interval: str, bar: int) -> datetime:
    return BEGIN + bar * INTERVALS[interval].length


def write(sink: Sink, bars: Bars, ahead: bool = False) -> tuple[int, int]:
    """Write bars of one indicator; ``ahead``: what falls out is read before. Returns (rows written, rows pruned)."""
    if ahead:
        newest = {i: max(start(i, bar) for (_, name), (bar, _) in bars.items() if name == i) for _, i in bars}
        sink.prepare([DECLARED], newest, KEPT.__getitem__)
    rows = [
        {"symbol": symbol, "interval": interval, "bucket_ts": start(interval, bar), "run_id": "x", "williams_r": value}
        for (symbol, interval), (bar, value) in bars.items()
    ]
    types = [*((name, pa.string()) for name in ("symbol", "interval")), ("bucket_ts", pa.timestamp("us", "UTC"))]
    schema = pa.schema([*types, ("run_id", pa.string()), ("williams_r", pa.float64())])
    record = Record(BEGIN, "", [], 1)
    put(sink, {DECLARED: pa.Table.from_pylist(rows, schema=schema)}, KEPT.__getitem__, record)
    assert record.sqlite_commits == 1
    return record.sqlite_rows_written, record.sqlite_rows_pruned


def stored(database: Path) -> Rows:
    """The rows of the table, in rowid order."""
    query = f'SELECT 交易对, 周期, 数据时间, WilliamsR FROM "{DECLARED.table}" ORDER BY rowid'
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = connection.execute(query).fetchall()
    rows = {
        (symbol, interval, (datetime.fromisoformat(time) - BEGIN) // INTERVALS[interval].length): value
        for symbol, interval, time, value in found
    }
    assert len(rows) == len(found)
    return rows


def expected(rows: Rows, bars: Bars) -> tuple[int, int]:
    """Bring bars into the model. Returns (rows written, rows pruned)."""
    written = pruned = 0
    for (symbol, interval), (bar, value) in bars.items():
        key = (symbol, interval, bar)
        # A row without a value never takes the place of one with a value.
        if value is not None or rows.get(key) is None:
            rows[key] = value
            written += 1
        own = sorted((known for known in rows if known[:2] == (symbol, interval)), reverse=True)
        for old in own[KEPT[interval] :]:
            del rows[old]
            pruned += 1
    return written, pruned


PAIRS = st.tuples(st.sampled_from(["AUSDT", "BUSDT", "CUSDT"]), st.sampled_from(list(KEPT)))
WRITES = st.lists(
    st.tuples(
        st.dictionaries(
            PAIRS,
            st.tuples(st.integers(0, 6), st.sampled_from([None, -0.5, -25.0, -100.0])),
            min_size=1,
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(writes=WRITES)
def test_of_each_pair_that_is_written_the_newest_rows_stay(writes: Sequence[tuple[Bars, bool]]) -> None:
    model: Rows = {}
    with TemporaryDirectory() as folder, Sink(Path(folder) / "result.db", lock_timeout=5) as sink:
        for bars, ahead in writes:
            assert write(sink, bars, ahead) == expected(model, bars)
            found = stored(sink.path)
            assert found == model
            # Readers take the largest rowid of a pair for its newest bar.
            last = {key[:2]: key for key in found}
            assert all(key == max(k for k in found if k[:2] == pair) for pair, key in last.items())


def test_a_symbol_with_gaps_keeps_as_many_rows_as_one_without(tmp_path: Path) -> None:
    full, gapped, idle = ("FULL", "5m"), ("GAPPED", "5m"), ("IDLE", "5m")
    with Sink(tmp_path / "result.db", lock_timeout=5) as sink:
        for bar in range(6):
            wanted = {full: True, gapped: bar % 2 == 1, idle: bar == 0}
            write(sink, {pair: (bar, -1.0) for pair, there in wanted.items() if there})
    # Three rows stay. Of the symbol with gaps these are bars 1, 3 and 5: bar 1 does not go with that of the other. Of
    # the symbol that is not written any more all stays.
    assert sorted((symbol, bar) for symbol, _, bar in stored(tmp_path / "result.db")) == [
        *(("FULL", bar) for bar in (3, 4, 5)),
        *(("GAPPED", bar) for bar in (1, 3, 5)),
        ("IDLE", 0),
    ]


def test_nothing_is_read_of_what_cannot_fall_out(tmp_path: Path) -> None:
    """Of an interval whose rows all stay no list of symbols is read, neither ahead nor in the write."""
    with Sink(tmp_path / "result.db", lock_timeout=5) as sink:
        for bar in range(4):
            write(sink, {("AUSDT", "5m"): (bar, -1.0), ("AUSDT", "1h"): (0, -1.0)})
        newest = {"5m": start("5m", 4), "1h": start("1h", 1)}
        sink.prepare([DECLARED], newest, KEPT.__getitem__)
        assert sink._prepared is not None
        times = {start("5m", bar).isoformat(): '["AUSDT"]' for bar in (1, 2, 3)}
        assert sink._prepared.result() == {DECLARED.table: {"5m": times}}
