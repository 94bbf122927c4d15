"""A backfill has what runs as of the end of each bar, less a microsecond, would have written; and it can go on."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import engine
from candlemill.pipeline.backfill.fill import fill
from candlemill.pipeline.backfill.ranges import backfill
from candlemill.pipeline.base.errors import UsageError
from candlemill.pipeline.base.marker import DEMO
from candlemill.pipeline.results.rows import batches
from candlemill.pipeline.settings import RETENTION, Settings, parse_indicators, parse_intervals
from tests import goldens
from tests.conftest import dump_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from candlemill.indicators.contract import Indicator

#: Indicators of all kinds: in NumPy and in SQL, of candles and of metrics.
FEW = "kdj,donchian,futures_aggregate,futures_sentiment"
#: Series with gaps and halts, late and short ones, prices far below a cent, ticks.
CASE = goldens.HERE / "synth_core"
BEGIN, END = datetime(2026, 1, 22, 4, tzinfo=UTC), datetime(2026, 1, 22, 9, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: Of futures_aggregate: a metrics row is of age 0 at its own bar.
AGE = {INDICATORS["futures_aggregate"].label(c) for c in INDICATORS["futures_aggregate"].columns if c.name in
       ("age_seconds", "is_stale")}  # fmt: skip


@pytest.fixture(scope="module")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


def asked(url: str, folder: Path, intervals: str, indicators: str | None = None, **more: Any) -> Settings:
    return Settings(
        source=url,
        sqlite=folder / "result.db",
        duckdb=folder / "work.duckdb",
        symbols=more.pop("symbols", "all"),
        intervals=parse_intervals(intervals),
        indicators=parse_indicators(indicators),
        as_of=more.pop("as_of", datetime(2026, 1, 22, 9, 7, tzinfo=UTC)),
        **more,
    )


def rows_of(root: Path) -> dict[Indicator, pa.Table]:
    """All rows of a backfill by indicator, with their intervals."""
    found: dict[Indicator, list[pa.Table]] = defaultdict(list)
    for record in (root / "_tasks").glob("*.json"):
        for name, declared in INDICATORS.items():
            for file in root.glob(f"{name}/interval=*/{record.stem}.parquet"):
                table = pq.ParquetFile(file).read()
                keys = list(zip(table["symbol"].to_pylist(), table["bucket_ts"].to_pylist(), strict=True))
                assert keys == sorted(set(keys))
                assert table.column_names == ["symbol", "bucket_ts", *(column.name for column in declared.columns)]
                interval = pa.repeat(file.parent.name.removeprefix("interval="), table.num_rows)
                found[declared].append(table.append_column("interval", interval))
    return {declared: pa.concat_tables(tables) for declared, tables in found.items()}


def stored(rows: Mapping[Indicator, pa.Table]) -> dict[str, dict[tuple[str, ...], dict[str, Any]]]:
    """The same rows as SQLite would hold them, by table and key."""
    return {
        declared.table: {tuple(row[key] for key in goldens.KEY): row for row in batch.table.to_pylist()}
        for declared, batch in batches(rows).items()
    }


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a folder by its path."""
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("intervals", "begin", "bars"), [("5m,1h", BEGIN, 3), ("1d,1w", datetime(2025, 12, 20, tzinfo=UTC), 2)]
)
def test_values_are_those_of_runs_as_of_the_ends_of_bars(
    intervals: str, begin: datetime, bars: int, url: str, tmp_path: Path
) -> None:
    root = tmp_path / "history"
    outcome = backfill(asked(url, tmp_path, intervals), begin, END, root, verify=4)
    assert not outcome.failed
    assert sum(outcome.rows.values()) > 1000
    history = stored(rows_of(root))
    random = np.random.default_rng(len(intervals))
    compared = 0
    for interval in parse_intervals(intervals):
        times = {key[2] for rows in history.values() for key in rows if key[1] == interval.name}
        assert min(times) >= begin.isoformat()
        for time in random.permutation(sorted(times))[:bars]:
            as_of = interval.back(datetime.fromisoformat(time), -1) - MICROSECOND
            ran = tmp_path / f"{interval.name}-{as_of:%d%H%M}"
            ran.mkdir()
            engine.run(asked(url, ran, interval.name, as_of=as_of))
            run = goldens.stored(ran / "result.db", {declared.table for declared in INDICATORS.values()})
            assert len(run) == sum(declared.covers(interval.name) for declared in INDICATORS.values())
            for table, rows in run.items():
                mine = {key: row for key, row in history.get(table, {}).items() if key[1:] == (interval.name, time)}
                theirs = {key: row for key, row in rows.items() if key[2] == time}
                assert mine.keys() == theirs.keys(), table
                for key, row in mine.items():
                    differing = {name for name in row if row[name] != theirs[key][name]}
                    assert differing <= AGE, (table, key, differing)
                    compared += len(row)
    assert compared > 10_000


# -- the result database


def rows_in(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table in rowid order, without their rowids."""
    return {name: [row[1:] for row in rows] for name, rows in dump_of(database).items() if name != "schema"}


def filled(url: str, folder: Path, **more: Any) -> dict[str, list[tuple[Any, ...]]]:
    """What is in the tables of a result database after a fill."""
    fill(asked(url, folder, "5m,1h", FEW, **more))
    return rows_in(folder / "result.db")


def check_order(tables: Mapping[str, list[tuple[Any, ...]]], keep: Callable[[str], int]) -> None:
    """The rows of a pair stand in the order of time, each time once, and no more than are kept."""
    for rows in tables.values():
        pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
        for symbol, interval, time, *_ in rows:
            pairs[symbol, interval].append(time)
        for (_, interval), times in pairs.items():
            assert times == sorted(set(times))
            assert len(times) <= keep(interval)


def test_filling_has_what_runs_at_each_bar_would_have_left(url: str, tmp_path: Path) -> None:
    retention = {"5m": 6, "1h": 3}
    ran, mine = tmp_path / "ran", tmp_path / "mine"
    ran.mkdir()
    mine.mkdir()
    for minutes in range(30, -1, -5):
        engine.run(
            asked(url, ran, "5m", FEW, retention=retention, as_of=END - timedelta(minutes=minutes) - MICROSECOND)
        )
    found = filled(url, mine, retention=retention, as_of=END)
    check_order(found, lambda interval: retention[interval])
    expected = rows_in(ran / "result.db")
    assert expected.keys() == found.keys()
    for name, rows in expected.items():
        runs, fills = ({row[:3]: row for row in each if row[1] == "5m"} for each in (rows, found[name]))
        assert len(fills) > 60
        assert fills.keys() >= runs.keys(), name
        if name != INDICATORS["futures_aggregate"].table:
            assert fills.items() >= runs.items()


def test_filling_leaves_the_rows_that_are_there_and_puts_older_bars_before_newer_ones(url: str, tmp_path: Path) -> None:
    for as_of in (END - timedelta(minutes=17), END + timedelta(minutes=7)):
        engine.run(asked(url, tmp_path, "5m,1h", FEW, as_of=as_of))
    with closing(sqlite3.connect(tmp_path / "result.db")) as connection:
        [table] = [INDICATORS["kdj"].table]
        connection.execute(f'UPDATE "{table}" SET "J值" = 1234.5')
        connection.commit()
    before = rows_in(tmp_path / "result.db")
    found = filled(url, tmp_path)
    check_order(found, lambda interval: RETENTION[interval])
    for name, rows in before.items():
        assert set(rows) <= set(found[name])
        assert len(found[name]) > 5 * len(rows)
    assert filled(url, tmp_path) == found


def test_filling_into_a_file_of_another_kind_is_refused(url: str, tmp_path: Path) -> None:
    engine.run(asked(url, tmp_path, "1h", FEW, marker=DEMO))
    before = (tmp_path / "result.db").read_bytes()
    with pytest.raises(UsageError, match="demo"):
        fill(asked(url, tmp_path, "1h", FEW))
    assert (tmp_path / "result.db").read_bytes() == before
