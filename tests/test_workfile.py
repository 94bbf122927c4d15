"""The DuckDB work file: what analysts find in it, and that a run never takes it from under them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest

from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SinkError
from candlemill.pipeline.record import Record
from candlemill.pipeline.workfile import writer as workfile
from candlemill.pipeline.workfile.provenance import Provenance
from tests import goldens
from tests.conftest import CANDLEMILL, Ran, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CASE = goldens.HERE / "synth_lengths"
AS_OF = "2026-01-22T09:07:00+00:00"
SYMBOLS = ("AAAUSDT", "N5USDT", "N60USDT")
WORDS = ("run", "--symbols", ",".join(SYMBOLS), "--sqlite", "result.db", "--duckdb", "work.duckdb", "--json")
TYPES = {"real": "DOUBLE", "integer": "BIGINT", "text": "VARCHAR", "time": "TIMESTAMP WITH TIME ZONE"}


@dataclass
class Published:
    """The files of a run of all indicators, and its record."""

    folder: Path
    record: dict[str, Any]

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of a query over the work file, in UTC."""
        return rows(self.folder / "work.duckdb", query, *parameters)


def rows(file: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(file), read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # Through Arrow: DuckDB's own conversion of TIMESTAMPTZ wants another library.
        return [tuple(row.values()) for row in connection.execute(query, parameters).to_arrow_table().to_pylist()]


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


def run(url: str, folder: Path, *words: str, as_of: str = AS_OF) -> dict[str, Any]:
    command = [str(CANDLEMILL), *WORDS, "--source", url, "--as-of", as_of, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return Ran(0, done.stdout, done.stderr).record


@pytest.fixture(scope="module")
def published(url: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("published")
    return Published(folder, run(url, folder, "--intervals", "5m,1w", "--lookback", "300"))


def test_the_tables_are_those_of_the_indicators_and_their_columns_have_the_declared_types(published: Published) -> None:
    tables = {name for (name,) in published.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal")}
    assert tables == {"candles", "futures_metrics", "runs", "catalog", *INDICATORS}
    columns = published.rows("SELECT table_name, column_name, data_type FROM duckdb_columns() ORDER BY column_index")
    keys = [("symbol", "VARCHAR"), ("interval", "VARCHAR"), ("bucket_ts", TYPES["time"]), ("run_id", "VARCHAR")]
    for declared in INDICATORS.values():
        found = [(name, kind) for table, name, kind in columns if table == declared.id]
        assert found == keys + [(column.name, TYPES[column.kind.name]) for column in declared.columns]


def test_every_row_of_the_result_database_is_here_under_its_english_name(published: Published) -> None:
    for declared in INDICATORS.values():
        here = published.rows(
            f"SELECT symbol, \"interval\", strftime(bucket_ts, '%Y-%m-%dT%H:%M:%S+00:00'), run_id FROM {declared.id}"
        )
        there = rows_of(published.folder / "result.db", f'SELECT 交易对, 周期, 数据时间 FROM "{declared.table}"')
        assert sorted(row[:3] for row in here) == sorted(tuple(row.values()) for row in there)
        assert {row[3] for row in here} == {published.record["run_id"]}


def test_times_are_moments_and_numbers_have_full_precision(published: Published) -> None:
    moment = datetime(2026, 1, 22, 9, 5, tzinfo=UTC)
    [(time, newest, j)] = published.rows(
        'SELECT kdj.bucket_ts, newest_bar, j FROM kdj JOIN data_monitor USING (symbol, "interval") '
        "WHERE symbol = 'AAAUSDT' AND \"interval\" = '5m'"
    )
    assert (time, newest) == (moment, moment)
    [row] = rows_of(
        published.folder / "result.db",
        f"SELECT J值 FROM \"{INDICATORS['kdj'].table}\" WHERE 交易对 = 'AAAUSDT' AND 周期 = '5m'",
    )
    assert row["J值"] == round(j, 3) != j


def test_candles_are_the_bars_that_were_used(published: Published, url: str) -> None:
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        values = ", ".join(f"{name}::float8" for name in BAR_FIELDS)
        expected = [
            row
            for interval in ("5m", "1w")
            for row in connection.execute(
                f"""
                SELECT exchange, symbol, %s, bucket_ts, {values}
                FROM (
                    SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY bucket_ts DESC) AS age
                    FROM market_data.candles_{interval}
                    WHERE symbol = ANY(%s) AND bucket_ts <= %s
                ) AS bars
                WHERE age <= 300
                """.encode(),
                [interval, list(SYMBOLS), AS_OF],
            )
        ]
    columns = ", ".join(BAR_FIELDS)
    found = published.rows(f'SELECT exchange, symbol, "interval", bucket_ts, {columns} FROM candles')
    assert sorted(found) == sorted(expected)
    counts = published.rows('SELECT symbol, "interval", count(*) FROM candles GROUP BY ALL ORDER BY ALL')
    assert counts == [(s, i, n) for s, n in zip(SYMBOLS, (300, 5, 60), strict=True) for i in ("1w", "5m")]
    assert [stage["bars"] for stage in published.record["stages"]] == [365, 365]


def test_metrics_are_kept_for_the_symbols_of_the_run(published: Published, url: str) -> None:
    found = published.rows(
        "SELECT symbol, count(*), max(bucket_ts) FROM futures_metrics WHERE \"interval\" = '5m' GROUP BY 1 ORDER BY 1"
    )
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        expected = connection.execute(
            "SELECT symbol, least(count(*), 240), max(create_time) AT TIME ZONE 'UTC' "
            "FROM market_data.binance_futures_metrics_5m WHERE symbol = ANY(%s) AND create_time <= '2026-01-22 09:07' "
            "AND create_time > '2025-12-23 09:07' GROUP BY 1 ORDER BY 1",
            [list(SYMBOLS)],
        ).fetchall()
    assert found == expected
    assert len(found) > 1


def test_the_catalog_has_a_row_for_every_declared_column(published: Published) -> None:
    found = published.rows(
        "SELECT indicator, position, column_name, sqlite_table, sqlite_column, sqlite_type, unit, meaning FROM catalog"
    )
    kinds = {"real": "REAL", "integer": "INTEGER", "text": "TEXT", "time": "TEXT"}
    assert sorted(found) == sorted(
        (i.id, position, c.name, i.table, i.label(c), kinds[c.kind.name], c.unit, c.meaning)
        for i in INDICATORS.values()
        for position, c in enumerate(i.columns, 1)
    )
    # The catalogue is about these files: what it names is there.
    for table, column in published.rows("SELECT sqlite_table, sqlite_column FROM catalog"):
        rows_of(published.folder / "result.db", f'SELECT "{column}" FROM "{table}" LIMIT 0')
    missing = published.rows(
        "SELECT indicator, column_name FROM catalog ANTI JOIN duckdb_columns() AS c "
        "ON c.table_name = indicator AND c.column_name = catalog.column_name"
    )
    assert missing == []
    rounding = dict(published.rows("SELECT column_name, rounding FROM catalog WHERE indicator = 'kdj'"))
    assert rounding["j"] == "3 decimals"


@pytest.mark.parametrize("view", ["latest_signals", "overview"])
def test_a_view_has_one_row_per_series_with_the_figures_of_its_tables(view: str, published: Published) -> None:
    keys = published.rows(f'SELECT symbol, "interval" FROM {view}')
    assert sorted(keys) == sorted((symbol, interval) for symbol in SYMBOLS for interval in ("5m", "1w"))
    figure, table, column = {
        "latest_signals": ("macd_signal", "macd", "signal"),
        "overview": ("macd_histogram", "macd", "histogram"),
    }[view]
    order = 'ORDER BY symbol, "interval"'
    values = published.rows(f"SELECT {figure} FROM {view} {order}")
    assert values == published.rows(f"SELECT {column} FROM {table} {order}")
    assert any(value is not None for (value,) in values)


def test_runs_has_the_record_of_the_run(published: Published) -> None:
    with closing(duckdb.connect(str(published.folder / "work.duckdb"), read_only=True)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        [found] = connection.execute("SELECT * FROM runs").to_arrow_table().to_pylist()
    for name in ("started_at", "finished_at", "as_of"):
        found[name] = found[name].isoformat()
    found["skipped"] = dict(found["skipped"])
    want = dict(published.record)
    for name in ("started_at", "finished_at", "as_of"):
        want[name] = datetime.fromisoformat(want[name]).isoformat()
    assert found == want


# -- from run to run


@contextmanager
def reading(file: Path) -> Iterator[Callable[[str], Any]]:
    """A process that has the work file open, and answers queries."""
    program = (
        "import duckdb, json, sys\n"
        "connection = duckdb.connect(sys.argv[1], read_only=True)\n"
        "for query in sys.stdin:\n"
        "    print(json.dumps(connection.execute(query).fetchall(), default=str), flush=True)\n"
    )
    words = [str(CANDLEMILL.with_name("python")), "-c", program, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def ask(query: str) -> Any:
            stdin.write(f"{query}\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield ask
        stdin.close()


def test_a_reader_keeps_what_it_opened_and_a_new_one_sees_the_new_run(url: str, tmp_path: Path) -> None:
    few = ("--intervals", "5m", "--indicators", "base_data,macd")
    first = run(url, tmp_path, *few, as_of="2026-01-22T09:02:00+00:00")
    file = tmp_path / "work.duckdb"
    query = "SELECT DISTINCT run_id, strftime(bucket_ts AT TIME ZONE 'UTC', '%H:%M') FROM base_data"
    with reading(file) as ask, closing(duckdb.connect(str(file), read_only=True)) as here:
        assert ask(query) == [[first["run_id"], "09:00"]]
        second = run(url, tmp_path, *few)
        assert ask(query) == [[first["run_id"], "09:00"]]
        assert ask("SELECT count(*) FROM candles JOIN macd USING (symbol)") == [[400 + 4 + 59]]
        assert here.execute(query).fetchall() == [(first["run_id"], "09:00")]
    assert rows(file, query) == [(second["run_id"], "09:05")]
    runs = rows(file, "SELECT run_id, rows, pg_rows, sqlite_rows_written FROM runs ORDER BY started_at")
    assert runs == [
        tuple(r[name] for name in ("run_id", "rows", "pg_rows", "sqlite_rows_written")) for r in (first, second)
    ]
    # Even a process that has it open for writing keeps it, and the history goes on.
    with closing(duckdb.connect(str(file))) as writer:
        third = run(url, tmp_path, *few)
        assert writer.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    ids = [(record["run_id"],) for record in (first, second, third)]
    assert rows(file, "SELECT run_id FROM runs ORDER BY started_at") == ids
    assert sorted(file.name for file in tmp_path.iterdir()) == ["result.db", "work.duckdb"]


def test_the_newest_ten_thousand_runs_are_kept(url: str, tmp_path: Path) -> None:
    few = ("--intervals", "5m", "--indicators", "base_data")
    first = run(url, tmp_path, *few)
    file = tmp_path / "work.duckdb"
    with closing(duckdb.connect(str(file))) as connection:
        # Another 10,000 runs, each an hour older than the next.
        connection.execute(
            "INSERT INTO runs SELECT runs.* REPLACE (i::VARCHAR AS run_id, started_at - to_hours(i) AS started_at) "
            "FROM runs CROSS JOIN range(1, 10_001) AS older(i)"
        )
    second = run(url, tmp_path, *few)
    found = [id_ for (id_,) in rows(file, "SELECT run_id FROM runs ORDER BY started_at DESC")]
    assert found == [second["run_id"], first["run_id"], *(str(i) for i in range(1, 9_999))]


def test_runs_at_the_same_time_both_leave_their_record(url: str, tmp_path: Path) -> None:
    few = ("--source", url, "--as-of", AS_OF, "--intervals", "5m", "--indicators", "base_data")
    words = [str(CANDLEMILL), *WORDS, *few]
    with closing(sqlite3.connect(tmp_path / "result.db", isolation_level=None)) as lock:
        # Both have come as far as the result database when it is let go.
        lock.execute("BEGIN IMMEDIATE")
        children = [
            subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for child in children:
            assert child.stderr is not None
            assert next((line for line in child.stderr if "locked by another process" in line), None)
        lock.execute("ROLLBACK")
        ids = {json.loads(child.communicate(timeout=60)[0])["run_id"] for child in children}
    found = {run_id for (run_id,) in rows(tmp_path / "work.duckdb", "SELECT run_id FROM runs")}
    assert len(ids) == 2
    assert found == ids


def test_a_run_that_is_stopped_keeps_others_waiting_for_a_while_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workfile, "_PATIENCE", 0.1)
    why = r"for 0\.1 s a run that is stopped or hangs has kept its folder: end that run"
    with workfile.WorkFile(tmp_path / "work.duckdb", workers=1, exchange="binance") as begun:
        handle = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        other = workfile.WorkFile(tmp_path / "work.duckdb", workers=1, exchange="binance")
        with pytest.raises(SinkError, match=why), other:
            pass
        begun.settle().result()
        as_of = datetime(2026, 1, 22, tzinfo=UTC)
        record = Record(as_of, source="", intervals=["5m"], indicators=1)
        assert not begun.publish([record], Provenance("", "binance", as_of, 500, False, True, 0))
    assert re.search(why, caplog.text)
    os.close(handle)
    assert list(tmp_path.iterdir()) == []


def test_every_table_and_view_says_what_it_is(work_file: Path) -> None:
    with closing(duckdb.connect(str(work_file), read_only=True)) as connection:
        comments = dict(
            connection.execute(
                "SELECT table_name, comment FROM duckdb_tables() UNION ALL "
                "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
            ).fetchall()
        )
    assert all(comments.values())
    assert len(comments) == len(INDICATORS) + 7
    assert comments["macd"].startswith("MACD: ")


def test_every_column_of_a_table_says_what_it_is(work_file: Path) -> None:
    with closing(duckdb.connect(str(work_file), read_only=True)) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, c.comment"
            " FROM duckdb_columns() AS c JOIN duckdb_tables() USING (table_name) WHERE NOT c.internal"
        ).fetchall()
    assert len(columns) > 400
    assert [(table, name) for table, name, comment in columns if not comment] == []
