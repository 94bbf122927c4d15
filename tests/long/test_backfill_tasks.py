"""A backfill has what runs as of the end of each bar, less a microsecond, would have written; and it can go on."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import time as now
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import engine
from candlemill.pipeline.backfill import attempts, folder, plan
from candlemill.pipeline.backfill.exports import Exports
from candlemill.pipeline.backfill.fill import fill
from candlemill.pipeline.backfill.plan import Plan, Request, size_of
from candlemill.pipeline.backfill.ranges import backfill
from candlemill.pipeline.backfill.status import status_of
from candlemill.pipeline.backfill.store import Folder
from candlemill.pipeline.backfill.task import RefusedError, Task, perform
from candlemill.pipeline.backfill.verify import DifferenceError
from candlemill.pipeline.base.errors import Exit, NoCandlesError, SinkError, SourceError, UsageError
from candlemill.pipeline.base.intervals import INTERVALS, microseconds, moment
from candlemill.pipeline.base.marker import DEMO
from candlemill.pipeline.commands.app import app
from candlemill.pipeline.commands.progress import Share
from candlemill.pipeline.results.rows import Batches
from candlemill.pipeline.settings import RETENTION, Settings, parse_indicators, parse_intervals
from tests import goldens
from tests.conftest import dump_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from candlemill.indicators.contract import Indicator
    from candlemill.pipeline.backfill.plan import Size
    from tests.conftest import Server

#: Indicators of all kinds: in NumPy and in SQL, of candles and of metrics.
FEW = "kdj,donchian,futures_aggregate,futures_sentiment"
#: Series with gaps and halts, late and short ones, prices far below a cent, ticks.
CASE = goldens.HERE / "synth_core"
BEGIN, END = datetime(2026, 1, 22, 7, tzinfo=UTC), datetime(2026, 1, 22, 9, tzinfo=UTC)
#: Bars of each interval that are compared with a run.
RUNS = int(os.environ.get("CANDLEMILL_BACKFILL_RUNS", "1"))
MICROSECOND = timedelta(microseconds=1)
#: Of futures_aggregate: a metrics row is of age 0 at its own bar.
AGE = {INDICATORS["futures_aggregate"].label(c) for c in INDICATORS["futures_aggregate"].columns if c.name in
       ("age_seconds", "is_stale")}  # fmt: skip


@pytest.fixture(scope="module")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


def asked(url: str, place: Path, intervals: str, indicators: str | None = None, **more: Any) -> Settings:
    return Settings(
        source=url,
        sqlite=place / "result.db",
        duckdb=place / "work.duckdb",
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
        for declared, batch in Batches().of(rows.items()).items()
    }


def contents(root: Path) -> dict[str, bytes]:
    """Every file of a folder by its path."""
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("intervals", "begin"), [("5m,1h", BEGIN), ("1d,1w", datetime(2026, 1, 12, tzinfo=UTC))])
def test_values_are_those_of_runs_as_of_the_ends_of_bars(
    intervals: str, begin: datetime, url: str, tmp_path: Path
) -> None:
    root = tmp_path / "history"
    outcome = backfill(asked(url, tmp_path, intervals), begin, END, Folder(root))
    assert not outcome.failed
    assert sum(outcome.rows.values()) > 1000
    history = stored(rows_of(root))
    random = np.random.default_rng()
    compared = 0
    for interval in parse_intervals(intervals):
        times = {key[2] for rows in history.values() for key in rows if key[1] == interval.name}
        assert min(times) >= begin.isoformat()
        for time in random.permutation(sorted(times))[:RUNS]:
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


def test_a_window_that_a_source_sends_short_of_bars_that_cannot_be_is_as_short(server: Server, tmp_path: Path) -> None:
    url = server.database("impossible")
    goldens.load(CASE, url)
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE market_data.candles_1h SET low = high * 2"
            " WHERE bucket_ts IN ('2026-01-21 03:00Z', '2026-01-22 01:00Z')"
        )
        # An aggregate's newest bar may be forming: it is not counted.
        connection.execute("ALTER TABLE market_data.candles_5m RENAME TO kept")
        connection.execute("CREATE VIEW market_data.candles_5m AS SELECT * FROM market_data.kept")
        connection.execute(
            "UPDATE market_data.kept SET low = high * 2 WHERE bucket_ts IN ('2026-01-22 08:20Z', '2026-01-22 08:30Z')"
        )
    root, names = tmp_path / "history", "macd,kdj,bollinger"
    backfill(asked(url, tmp_path, "1h,5m", names, lookback=100), END - timedelta(hours=1), END, Folder(root), verify=10)
    history = stored(rows_of(root))
    for interval, time in (("1h", "08:00"), ("5m", "08:25"), ("5m", "08:30")):
        begin = datetime.fromisoformat(f"2026-01-22T{time}+00:00")
        ran = tmp_path / f"{interval}-{begin:%H%M}"
        ran.mkdir()
        as_of = INTERVALS[interval].back(begin, -1) - MICROSECOND
        engine.run(asked(url, ran, interval, names, lookback=100, as_of=as_of))
        for table, rows in goldens.stored(ran / "result.db", set(history)).items():
            mine = {key: row for key, row in history[table].items() if key[1:] == (interval, begin.isoformat())}
            assert mine == {key: row for key, row in rows.items() if key[2] == begin.isoformat()}
            assert mine or time == "08:30"


# -- going on


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of a few symbols each."""
    monkeypatch.setattr(plan, "MOST_BARS", 8000)


@dataclass
class Told:
    """What a backfill says of its progress."""

    tasks: int = 0
    computed: list[bool] = field(default_factory=list)

    def begins(self, size: Size) -> None:
        self.tasks = size.tasks

    def progress(self, bars: int, computed: bool) -> None:
        assert bars > 0
        self.computed.append(computed)


def few(url: str, root: Path, intervals: str = "5m,1h", **more: Any) -> Told:
    """A backfill of a few bars and indicators, and what it told."""
    told = Told()
    begin = END - timedelta(hours=1)
    verify = more.pop("verify", 0)
    settings = asked(more.pop("source", url), root.parent, intervals, FEW, **more)
    backfill(settings, begin, END, Folder(root), verify=verify, begins=told.begins, progress=told.progress)
    return told


def tasks_of(root: Path) -> dict[str, Task]:
    """The tasks with a record, by id."""
    found = {}
    for file in (root / "_tasks").glob("*.json"):
        values: dict[str, Any] = json.loads(file.read_text())["task"]
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        task = Task(**values)
        assert task.id == file.stem
        found[task.id] = task
    return found


@pytest.mark.usefixtures("small")
def test_the_same_command_does_what_is_left_and_removes_what_an_attempt_has_left(url: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    told = few(url, root)
    assert len(told.computed) == told.tasks > 3
    assert all(told.computed)
    whole = contents(root)
    again = few(url, root)
    assert again.tasks == told.tasks
    assert again.computed == [False] * told.tasks
    assert contents(root) == whole
    # As after a kill: a task without its record, and a file that was being written.
    task = next(iter(tasks_of(root).values()))
    (root / folder.record_of(task.id)).unlink()
    draft = Folder(root).draft(folder.part_of("kdj", "5m", task.id))
    draft.write_bytes(b"PAR1")
    mine = root / "kdj" / "interval=5m" / "notes.parquet"
    mine.write_text("not the program's")
    settled = few(url, root, workers=2)
    assert sorted(settled.computed) == [False] * (told.tasks - 1) + [True]
    assert contents(root) == whole | {"kdj/interval=5m/notes.parquet": b"not the program's"}


@pytest.mark.usefixtures("small")
def test_bars_that_are_exported_anew_and_are_others_replace_the_task_they_are_of(
    server: Server, tmp_path: Path
) -> None:
    url, root = server.database("corrected"), tmp_path / "history"
    goldens.load(CASE, url)
    few(url, root, "1h")
    before = tasks_of(root)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE market_data.candles_1h SET close = high WHERE symbol = 'BTCUSDT'")
    few(url, root, "1h")
    assert tasks_of(root) == before
    shutil.rmtree(root / "_bars")
    few(url, root, "1h")
    assert len(tasks_of(root).keys() - before.keys()) == 1
    fresh = tmp_path / "fresh"
    few(url, fresh, "1h")
    assert contents(root) == contents(fresh)


def test_a_value_that_is_not_the_definitions_is_noticed(url: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    few(url, root, "1h", verify=2)
    [task] = tasks_of(root).values()
    for name, column in (("donchian", "upper"), ("futures_sentiment", "open_interest")):
        file = root / folder.part_of(name, "1h", task.id)
        sound = file.read_bytes()
        table = pq.ParquetFile(file).read()
        place = table.column_names.index(column)
        off = pc.add(table[column], 1e-9)
        pq.write_table(table.set_column(place, column, off), file)
        with pytest.raises(DifferenceError, match=f"{name} of .* at 1h, .*: {column} is .* by the definition"):
            perform(task, Folder(root), verify=3)
        if name == "donchian":
            with pytest.raises(SinkError, match="1 of 1 tasks failed"):
                few(url, root, "1h", verify=3)
        file.write_bytes(sound)
    perform(task, Folder(root), verify=3)


def test_the_slices_that_a_task_is_computed_in_change_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "history"
    few(url, root, "5m")
    whole = rows_of(root)
    [task] = tasks_of(root).values()
    (root / folder.record_of(task.id)).unlink()
    monkeypatch.setattr("candlemill.pipeline.backfill.task._SLICE", 7)
    assert perform(task, Folder(root))["rows"] == {declared.id: rows.num_rows for declared, rows in whole.items()}
    for declared, rows in rows_of(root).items():
        assert rows.equals(whole[declared])


@pytest.mark.usefixtures("small")
def test_a_task_that_fails_is_named_and_the_others_go_on(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "history"
    told = few(url, root)
    whole = contents(root)
    shutil.rmtree(root / "_tasks")
    victim = next(file for file in (root / "_bars").glob("1h-*"))
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(SinkError, match=f"1 of {told.tasks} tasks failed, 1h-") as failed:
        few(url, root)
    assert failed.value.exit_code == Exit.SINK
    lines = [record.message for record in caplog.records]
    assert sum("failed, trying again" in line for line in lines) == attempts.ATTEMPTS - 1
    named = [line for line in lines if line.startswith("task 1h-") and "trying again" not in line]
    assert ["is not what was exported" in line for line in named] == [True]
    assert len(tasks_of(root)) == told.tasks - 1
    victim.unlink()
    few(url, root)
    assert contents(root) == whole


@pytest.mark.usefixtures("small")
def test_a_source_that_is_lost_leaves_what_is_done(server: Server, tmp_path: Path) -> None:
    owner = server.database("lost")
    goldens.load(CASE, owner)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CREATE ROLE lost LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA market_data TO lost")
        connection.execute("GRANT SELECT ON market_data.candles_5m, market_data.binance_futures_metrics_5m TO lost")
    url = server.url_of(owner.rpartition("/")[2], "lost")
    root = tmp_path / "history"
    with pytest.raises(SourceError, match="GRANT"):
        few(url, root, symbols="BTCUSDT,GAPUSDT,LATEUSDT,PEPEUSDT,UPUSDT,DOWNUSDT")
    done = tasks_of(root)
    assert {task.interval for task in done.values()} == {"5m"}
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO lost")
    told = few(url, root, symbols="BTCUSDT,GAPUSDT,LATEUSDT,PEPEUSDT,UPUSDT,DOWNUSDT")
    assert told.computed.count(False) == len(done)
    assert {task.interval for task in tasks_of(root).values()} == {"5m", "1h"}


def test_a_folder_that_is_not_a_backfills_is_refused(url: str, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds no backfill"):
        few(url, foreign)
    (foreign / "_manifest.json").write_text('{"format": 1}')
    with pytest.raises(UsageError, match="not the manifest of a backfill"):
        few(url, foreign)
    with pytest.raises(SinkError, match="cannot be written"):
        few(url, foreign / "notes.txt")
    assert contents(foreign) == {"notes.txt": b"mine", "_manifest.json": b'{"format": 1}'}
    root = tmp_path / "history"
    with pytest.raises(NoCandlesError):
        few(url, root, "1h", symbols="NOBODY")
    for differing in ({"symbols": "ALSONOBODY"}, {"symbols": "NOBODY", "lookback": 300}):
        with pytest.raises(UsageError, match="holds a backfill of another"):
            few(url, root, "1h", **differing)
    with folder.taken(Folder(root)), pytest.raises(UsageError, match="another backfill writes"):
        few(url, root, "1h", symbols="NOBODY")


@pytest.mark.parametrize("lookback", [1, 400, 100_000])
@pytest.mark.parametrize("symbols", [1, 7, 900])
def test_every_bar_of_every_symbol_is_of_one_task(symbols: int, lookback: int) -> None:
    begin, end = datetime(2020, 2, 3, 1, 7, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)
    names = tuple(f"S{number:03}" for number in range(symbols))
    request = Request(
        "x", "all", ("1m", "1h", "1w", "1M"), ("kdj",), begin.isoformat(), end.isoformat(), lookback, "parity", "1"
    )
    closed = datetime(2025, 6, 30, 12, 30, tzinfo=UTC)
    slots = list(Plan(request, names, closed.isoformat()).slots())
    for interval in map(INTERVALS.__getitem__, request.intervals):
        ranges: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for slot in slots:
            if slot.interval == interval.name:
                assert slot.bars <= plan.MOST_BARS
                for symbol in slot.symbols:
                    ranges[symbol].append((slot.since, slot.until))
        assert ranges.keys() == set(names)
        for parts in ranges.values():
            assert parts[0][0] == microseconds(begin)
            assert moment(parts[-1][1]) == interval.back(closed, 1) + MICROSECOND
            assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert size_of(Plan(request, names, closed.isoformat())).tasks == len(slots)


def test_the_id_of_a_task_stands_for_all_of_it() -> None:
    task = Task("n", "1h", ("A",), 0, 1, "x", "parity", 400, 0, ("kdj",), "b", ("m",), ("d", "e"), "1")
    changed: dict[str, Any] = {
        "interval": "5m", "symbols": ("A", "B"), "since": 1, "until": 2, "exchange": "y", "profile": "corrected",
        "lookback": 300, "forming": 1, "indicators": ("kdj", "macd"), "exported": ("d", "f"), "version": "2",
    }  # fmt: skip
    ids = {replace(task, **{name: value}).id for name, value in changed.items()}
    assert len(ids | {task.id}) == len(changed) + 1


# -- the result database


def rows_in(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table in rowid order, without their rowids."""
    return {name: [row[1:] for row in rows] for name, rows in dump_of(database).items() if name != "schema"}


def filled(url: str, place: Path, **more: Any) -> dict[str, list[tuple[Any, ...]]]:
    """What is in the tables of a result database after a fill."""
    fill(asked(url, place, "5m,1h", FEW, **more))
    return rows_in(place / "result.db")


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


def test_filling_in_several_processes_has_the_same_rows(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    one.mkdir()
    several.mkdir()
    retention = {"5m": 6, "1h": 3}
    alone = filled(url, one, retention=retention)
    monkeypatch.setattr("candlemill.pipeline.backfill.fill._TOGETHER", 30)
    assert filled(url, several, retention=retention, workers=2) == alone


def ended(_: Any) -> None:
    """What a process does that the system ends."""
    os._exit(1)


def test_filling_says_that_a_process_has_ended(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("candlemill.pipeline.backfill.fill._TOGETHER", 30)
    monkeypatch.setattr("candlemill.pipeline.backfill.fill._compute", ended)
    with pytest.raises(SinkError, match="a process of the computation ended"):
        filled(url, tmp_path, workers=2)
    assert not (tmp_path / "result.db").exists()


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


# -- the command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no range or folder"),
        ("--from 2026-01-01 --output x", "no range or folder"),
        ("--from 2026-01-01 --to 2026-01-02", "no range or folder"),
        ("--from yesterday --to 2026-01-02 --output x", "--from 'yesterday' is not an ISO 8601 time"),
        ("--from 2026-01-01 --to x --output x", "--to 'x' is not an ISO 8601 time"),
        ("--from 2026-01-02 --to 2026-01-02 --output x", "is not before --to"),
        ("--sqlite --from 2026-01-01", "--sqlite has no range and no folder"),
        ("--sqlite x.db --verify 3", "--sqlite has no range and no folder"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["backfill", "--source", "postgresql://nowhere.invalid/x", *words.split()])
    assert isinstance(ran.exception, UsageError)
    assert said in str(ran.exception)
    assert not list(tmp_path.iterdir())


def test_progress_estimates_the_time_that_is_left_by_what_was_computed() -> None:
    now = [100.0]
    share = Share(lambda: now[0])
    share.begin(4, 1000)
    share.move(500, computed=False)
    assert str(share) == "1 of 4 tasks, 50%"
    now[0] += 60
    share.move(100, computed=True)
    assert str(share) == "2 of 4 tasks, 60%, 2 bars/s, 4.0 min left"
    now[0] += 9000
    share.move(100, computed=True)
    assert str(share) == "3 of 4 tasks, 70%, 0 bars/s, 3.8 h left"


# -- reading and computing apart, and how far it is


@pytest.mark.usefixtures("small")
def test_what_is_exported_is_computed_without_a_source(url: str, tmp_path: Path) -> None:
    whole, root = tmp_path / "whole", tmp_path / "history"
    told = few(url, whole)
    begin = END - timedelta(hours=1)
    settings = asked(url, tmp_path, "5m,1h", FEW)
    nowhere = replace(settings, source="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(UsageError, match="--export-only first"):
        backfill(nowhere, begin, END, Folder(root), from_export=True)
    backfill(settings, begin, END, Folder(root), export_only=True)
    assert not tasks_of(root)
    assert status_of(Folder(root), now()).done == 0
    backfill(nowhere, begin, END, Folder(root), from_export=True)
    assert contents(root) == contents(whole)
    status = status_of(Folder(root), now())
    assert (status.done, status.tasks, status.left) == (told.tasks, told.tasks, 0)
    assert status.rate > 0


def test_another_version_of_the_code_refuses_a_task(url: str, tmp_path: Path) -> None:
    root = tmp_path / "history"
    few(url, root, "1h")
    [task] = tasks_of(root).values()
    with pytest.raises(RefusedError, match="install the same"):
        perform(replace(task, version="0.0.0-other"), Folder(root))


def test_a_large_plan_is_made_and_gone_on_with_from_names_alone(tmp_path: Path) -> None:
    request = Request(
        "x", "all", ("1m", "5m", "15m", "1h", "4h", "1d", "1w"), tuple(INDICATORS),
        "2023-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00", 400, "parity", "1",
    )  # fmt: skip
    large = Plan(request, tuple(f"S{number:03}USDT" for number in range(600)), "2026-02-01T00:00:00+00:00")
    size = size_of(large)
    assert size.tasks > 10_000
    assert 1_200_000_000 < size.bars < 1_250_000_000
    store = Folder(tmp_path)
    folder.write_manifest(store, large, {})
    folder.write_json(store, folder.EXPORTED, {name: {"forming": 0, "pieces": []} for name in request.intervals})
    (tmp_path / folder.BARS).mkdir()
    for slot in large.slots():
        what = [request.exchange, slot.symbols, slot.since, slot.until, request.lookback]
        # Without content: nothing is read of it.
        (tmp_path / folder.bars_of(f"{slot.name}-{plan.digest(what)}", "0" * 32)).touch()
    exports = Exports(large, None, store)
    ids = [exports.task_of(slot).id for slot in large.slots()]
    assert len(set(ids)) == size.tasks
    (tmp_path / folder.TASKS).mkdir()
    for task in ids[::2]:
        (tmp_path / folder.record_of(task)).write_text('{"rows": {}}')
    assert len(list(folder.read_records(store, folder.recorded(store)))) == len(ids[::2])
    assert status_of(store, now()).done == len(ids[::2])
