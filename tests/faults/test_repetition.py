"""Many runs in one process leave as much behind as twenty; the same input gives the same tables."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from candlemill.indicators.registry import INDICATORS
from tests.conftest import CANDLEMILL, dump_of
from tests.faults.passes import RETENTION, SYMBOLS, Place, newest_of, shown, sound
from tests.goldens import KEY

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("CANDLEMILL_RUNS", "200"))


def again(url: str, folder: Path, runs: int, indicators: str) -> list[dict[str, Any]]:
    words = [sys.executable, "-m", "tests.faults.again", url, str(folder), str(runs), indicators]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    held = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(held) == runs
    assert all(one["errors"] == [] for one in held)
    return held


def test_many_runs_hold_no_more_than_twenty(url: str, tmp_path: Path) -> None:
    # A reader that stays connected keeps the log alive, so that it could grow.
    with closing(sqlite3.connect(tmp_path / "result.db")) as reader:
        reader.execute("PRAGMA journal_mode = wal")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        held = again(url, tmp_path, RUNS, "base_data,data_monitor,macd,candle_patterns,futures_sentiment")
    early, late = held[20:40], held[-20:]
    # What stays is there each time, unlike a thread that is just ending. The libraries' pools begin another thread of
    # the few they may have when they have to wait for the others; one in thirty runs would be too many already.
    for what, more in {"files": 0, "threads": 4}.items():
        assert min(one[what] for one in late) <= min(one[what] for one in early) + more, what
    assert median(one["memory"] for one in late) <= 1.1 * median(one["memory"] for one in early) + 8
    names = {"result.db", "result.db-wal", "result.db-shm", "work.duckdb"}
    assert all(set(one["folder"]) <= names for one in held)
    # A log begins anew once its 1000 pages are in the database; a run may add its own pages before.
    assert max(one["folder"].get("result.db-wal", 0) for one in held) < 8 * 2**20
    # Of the work file only the history of runs grows.
    assert late[-1]["folder"]["work.duckdb"] <= early[0]["folder"]["work.duckdb"] + 2**20
    assert sound(tmp_path / "result.db")


def test_of_every_table_exactly_the_retention_stays(url: str, tmp_path: Path) -> None:
    again(url, tmp_path, RETENTION + 5, "")
    database = tmp_path / "result.db"
    assert set(shown(database).values()) == {newest_of(-1)}
    with closing(sqlite3.connect(database)) as connection:
        for declared in INDICATORS.values():
            counts = f'SELECT {KEY[0]}, count(*), count(DISTINCT {KEY[2]}) FROM "{declared.table}" GROUP BY 1'
            assert connection.execute(counts).fetchall() == [(symbol, RETENTION, RETENTION) for symbol in SYMBOLS], (
                declared.table
            )


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_change_nothing_and_neither_does_running_twice(workers: int, first: Place, tmp_path: Path) -> None:
    one, other = (first.copy(tmp_path / name) for name in ("one", "other"))
    assert one.run(1, "--workers", "3").code == 0
    expected = dump_of(one.database)
    assert other.run(1, "--workers", str(workers)).code == 0
    assert dump_of(other.database) == expected
    # A second run over the same moment replaces its own rows by the same.
    assert other.run(1, "--workers", str(workers)).code == 0
    again_ = {name: [row[1:] for row in rows] for name, rows in dump_of(other.database).items() if name != "schema"}
    assert again_ == {name: [row[1:] for row in rows] for name, rows in expected.items() if name != "schema"}


def test_workers_change_nothing_over_all_series(url: str, tmp_path: Path) -> None:
    dumps = []
    for workers in (1, 4):
        folder = tmp_path / str(workers)
        folder.mkdir()
        words = ["run", "--source", url, "--symbols", "all", "--as-of", "2026-01-22T09:07:00+00:00"]
        files = ["--sqlite", "result.db", "--duckdb", "work.duckdb", "--workers", str(workers)]
        subprocess.run([str(CANDLEMILL), *words, *files], cwd=folder, capture_output=True, check=True)
        dumps.append(dump_of(folder / "result.db"))
    assert dumps[0] == dumps[1]
