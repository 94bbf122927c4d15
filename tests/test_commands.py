"""The command line as its users have it: commands, options, where settings come from, and what is printed where."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import memray
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline import __version__
from tests import goldens
from tests.conftest import CANDLEMILL, Ran, dump_of, rows_of
from tests.goldens import KEY
from tests.processes import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LENGTHS, CORE = goldens.HERE / "synth_lengths", goldens.HERE / "synth_core"
AS_OF = "2026-01-22T09:07:00+00:00"
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
ASKED = ("--symbols", "AAAUSDT,N60USDT", "--intervals", "5m,1w", "--as-of", AS_OF)
FEW = ("--indicators", "base_data,macd")
BASE = INDICATORS["base_data"].table
COMMANDS = (
    *("run", "demo", "watch", "history", "changes", "backfill", "query", "plot", "report", "runs", "indicators"),
    *("symbols", "explain", "stability", "init-db", "doctor"),
)


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(LENGTHS)


@pytest.fixture(scope="module")
def done(url: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """An ordinary run, with its record."""
    folder = tmp_path_factory.mktemp("done")
    words = [str(CANDLEMILL), "run", "--source", url, *ASKED, *FEW, *FILES, "--json"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return Ran(0, ran.stdout, ran.stderr)


# -- help


def test_help_lists_the_commands(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("--help")
    assert ran.code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command}  +\w.{{15,}}$", ran.out, re.MULTILINE), command


def test_the_command_alone_shows_the_help(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill()
    assert (ran.out + ran.err).strip() == candlemill("--help").out.strip()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_what_it_does_and_explains_every_option(
    command: str, candlemill: Callable[..., Ran]
) -> None:
    ran = candlemill(command, "--help")
    assert ran.code == 0
    usage, description = ran.out.splitlines()[0], ran.out.splitlines()[2]
    assert re.fullmatch(rf"Usage: candlemill {command} \[OPTIONS\]( (\[[a-z]+\]|\{{[A-Z]+\}}(?:\.\.\.)?))?", usage)
    assert re.fullmatch(r"  [A-Z].{20,}", description)
    assert f"Example: candlemill {command}" in ran.out
    for explained in re.split(r"\n(?=  -)", ran.out.partition("Options:\n")[2]):
        assert re.match(r"  (?:-[a-z], )?--[a-z-]+(?:, --[a-z-]+)*(?: <[^>]+>)?\s{2,}[A-Za-z]", explained), explained


def test_version(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("--version")
    assert ran.code == 0
    assert ran.out.startswith(f"candlemill {__version__} ")


# -- the old form of the command line


@pytest.mark.parametrize("program", [[str(CANDLEMILL)], [str(CANDLEMILL.with_name("python")), "-m", "pipeline"]])
def test_a_command_line_that_begins_with_an_option_means_run(program: list[str], url: str, tmp_path: Path) -> None:
    old = ["--once", "--mode", "all", "--symbols", "AAAUSDT,N60USDT", "--intervals", "5m,1w", "--workers", "4"]
    words = [*program, *old, "--as-of", AS_OF]
    env = {"DATABASE_URL": url, "INDICATORS_ENABLED": "base_data,adx,macd"}
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "run complete: " in done.stderr
    found = dump_of(tmp_path / "data" / "market_data.db")
    assert set(found) == {INDICATORS[name].table for name in ("base_data", "adx", "macd")} | {"schema"}
    assert len(found[BASE]) == 4
    assert (tmp_path / "data" / "candlemill.duckdb").exists()


def test_mode_and_closed_only_reach_the_results(url: str, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("run", "--source", url, *ASKED, *FILES, "--mode", "incremental", "--closed-only", "--json")
    wanted = {i.table for i in INDICATORS.values() if i.mode == "incremental"}
    assert 5 < len(wanted) < len(INDICATORS)
    assert set(dump_of(tmp_path / "result.db")) == wanted | {"schema"}
    assert ran.record["indicators"] == len(wanted)
    times = rows_of(tmp_path / "result.db", f'SELECT DISTINCT 周期, 数据时间 FROM "{BASE}" ORDER BY 1')
    assert [tuple(row.values()) for row in times] == [
        ("1w", "2026-01-12T00:00:00+00:00"),
        ("5m", "2026-01-22T09:00:00+00:00"),
    ]


# -- where settings come from


def test_options_win_over_the_environment_that_over_dotenv_and_that_over_the_defaults(
    url: str, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    dotenv = tmp_path / ".env"
    lines = f"DATABASE_URL={url}\nTEST_SYMBOLS=AAAUSDT\nINDICATORS_ENABLED=base_data,macd,kdj\nINTERVALS=1w\n"
    dotenv.write_text(lines)
    first = candlemill("run", "--as-of", AS_OF, "--json")
    assert first.code == 0, first.err
    assert (first.record["symbols"], first.record["indicators"]) == (1, 3)
    assert first.record["intervals"] == ["1w"]
    assert len(rows_of(tmp_path / "data" / "market_data.db", f'SELECT * FROM "{BASE}"')) == 1
    assert (tmp_path / "data" / "candlemill.duckdb").exists()

    dotenv.write_text(lines + "INDICATOR_SQLITE_PATH=dotenv.db\nCANDLEMILL_DUCKDB=dotenv.duckdb\n")
    env = {"INTERVALS": "5m", "INDICATOR_SQLITE_PATH": "env.db", "INDICATORS_DISABLED": "kdj"}
    second = candlemill("run", "--as-of", AS_OF, "--json", env=env)
    assert second.code == 0, second.err
    assert (second.record["intervals"], second.record["indicators"]) == (["5m"], 2)
    assert len(rows_of(tmp_path / "env.db", f'SELECT * FROM "{BASE}"')) == 1
    assert (tmp_path / "dotenv.duckdb").exists()
    assert not (tmp_path / "dotenv.db").exists()

    env |= {"TEST_SYMBOLS": "N60USDT", "CANDLEMILL_DUCKDB": "env.duckdb", "DATABASE_URL": "postgresql://nowhere/x"}
    words = ("--source", url, "--intervals", "1w,5m", "--symbols", "AAAUSDT,N60USDT", "--indicators", "base_data")
    third = candlemill("run", "--as-of", AS_OF, *words, "--sqlite", "o/p/option.db", "--duckdb", "o.duckdb", env=env)
    assert third.code == 0, third.err
    assert len(rows_of(tmp_path / "o" / "p" / "option.db", f'SELECT * FROM "{BASE}"')) == 4
    assert (tmp_path / "o.duckdb").exists()
    assert not (tmp_path / "env.duckdb").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INDICATOR_RETENTION", "nonsense"),
        ("MAX_WORKERS", "nonsense"),
    ],
)
def test_a_wrong_value_in_the_environment_is_wrong_usage(
    name: str, value: str, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = candlemill("run", env={name: value, "DATABASE_URL": "postgresql://nowhere/x"})
    assert ran.code == 2
    assert f"'{value}'" in ran.err or name in ran.err
    assert list(tmp_path.iterdir()) == []


# -- what is printed where

FIELDS = """run_id, started_at, finished_at, as_of, version, profile, source, symbols, intervals, indicators, series,
    rows, t_start, t_read, t_compute, t_write, total, stages, pg_queries, pg_rows, pg_bytes, sqlite_commits,
    sqlite_rows_written, sqlite_rows_pruned, peak_rss_mb, skipped, errors, sqlite, duckdb"""


def test_json_is_the_record_and_nothing_else(done: Ran, url: str) -> None:
    record = done.record
    assert len(done.out.splitlines()) == 1
    assert set(record) == set(re.split(r",\s+", FIELDS))
    stage_columns = {"interval", "bars", "series", "rows", "t_read", "t_compute", "t_write"}
    assert [set(stage) for stage in record["stages"]] == [stage_columns] * 2
    assert sum(stage["rows"] for stage in record["stages"]) == record["rows"]
    assert sum(stage["t_write"] for stage in record["stages"]) == pytest.approx(record["t_write"], abs=1e-5)
    assert [stage["interval"] for stage in record["stages"]] == record["intervals"] == ["5m", "1w"]
    assert (record["symbols"], record["series"], record["rows"], record["indicators"]) == (2, 4, 8, 2)
    assert (record["version"], record["source"], record["as_of"]) == (__version__, url, AS_OF)
    started, finished = (datetime.fromisoformat(record[name]) for name in ("started_at", "finished_at"))
    assert (datetime.now(UTC) - started).total_seconds() < 600
    assert abs((finished - started).total_seconds() - record["total"]) < 0.05
    # Intervals are read side by side, so that reading may come to more than the whole.
    assert record["t_read"] > 0
    assert 0 < record["t_write"] < record["total"]
    assert 0 < record["t_start"] < 600
    assert 50 < record["peak_rss_mb"] < 2000
    assert record["pg_bytes"] > 8 * 10 * record["pg_rows"] > 0
    assert (record["skipped"], record["errors"]) == ({}, [])


SUMMARY = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    run complete: t_read=(?P<t_read>\d+\.\d\d)s "
    r"t_compute=(?P<t_compute>\d+\.\d\d)s t_write=(?P<t_write>\d+\.\d\d)s total=(?P<total>\d+\.\d\d)s "
    r"rows=(?P<rows>\d+) symbols=(?P<symbols>\d+) intervals=(?P<intervals>\d+) indicators=(?P<indicators>\d+) "
    r"pg_queries=(?P<pg_queries>\d+) sqlite_commits=(?P<sqlite_commits>\d+) peak_rss_mb=(?P<peak_rss_mb>\d+)"
)


def test_the_last_line_of_the_log_has_its_form_and_says_what_the_record_says(done: Ran) -> None:
    match = SUMMARY.fullmatch(done.last)
    assert match, done.last
    record = done.record
    for name, text in match.groupdict().items():
        value = record[name]
        shown = len(value) if name == "intervals" else value
        assert text == (f"{shown:.2f}" if isinstance(shown, float) else str(shown))


def test_quiet_is_silent(url: str, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("run", "--source", url, *ASKED, *FEW, *FILES, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert len(rows_of(tmp_path / "result.db", f'SELECT * FROM "{BASE}"')) == 4


def test_log_json_is_a_log_of_objects_with_times_in_utc(url: str, candlemill: Callable[..., Ran]) -> None:
    words = ("--symbols", "AAAUSDT,NOSUCHUSDT", "--log-json", "--json")
    ran = candlemill("run", "--source", url, *ASKED, *FEW, *FILES, *words, env={"TZ": "Asia/Tokyo"})
    assert ran.code == 0, ran.err
    assert (ran.record["symbols"], ran.record["skipped"]) == (1, {"symbol without candles": 1})
    lines: list[dict[str, Any]] = [json.loads(line) for line in ran.err.splitlines()]
    assert [line["level"] for line in lines] == ["WARNING", "INFO", "INFO", "INFO"]
    assert lines[0]["message"].startswith("no candles for NOSUCHUSDT")
    assert lines[1]["message"] == "results in result.db"
    assert lines[-1]["message"].startswith("run complete: t_read=")
    for line in lines:
        time = datetime.fromisoformat(line["time"])
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        assert abs((datetime.now(UTC) - time).total_seconds()) < 600
    # The figures are there as such.
    assert lines[-1]["run"] == ran.record


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "--json-log"), 2),
        (("run", "--log-json", "--no-such-option"), 2),
        (("run", "--log-json", "--log-file", "none/a.log"), 2),
        (("watch", "--log-json", "--source", "postgresql://me:geheim@127.0.0.1:1/x", "--every", "1m=x"), 2),
        (("run", "--log-json", "--log-level", "debug", "--source", "postgresql://me:geheim@127.0.0.1:1/x"), 3),
        (("--log-json", "--source", "postgresql://127.0.0.1:1/x", "--quiet"), 3),
    ],
)
def test_log_json_ends_with_json_however_it_ends(
    words: tuple[str, ...], code: int, candlemill: Callable[..., Ran]
) -> None:
    ran = candlemill(*words)
    assert ran.code == code
    *_, last = lines = [json.loads(line) for line in ran.err.splitlines()]
    assert all({"time", "level", "name", "message"} <= set(line) for line in lines)
    assert (last["level"], last["exit_code"]) == ("ERROR", code)
    assert ("Traceback" in last.get("exc_info", "")) == ("debug" in words)
    assert "geheim" not in ran.err


def test_memray_captures_a_file_and_reports_beside_it(url: str, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("run", "--source", url, *ASKED, *FEW, *FILES, "--memray", "deep/capture.bin")
    assert ran.code == 0, ran.err
    assert "memory captured in deep/capture.bin" in ran.err
    assert SUMMARY.fullmatch(ran.last)
    with memray.FileReader(tmp_path / "deep" / "capture.bin") as reader:
        assert reader.metadata.total_allocations > 1000
        assert max(snapshot.rss for snapshot in reader.get_memory_snapshots()) > 2**25
    page, listing, picture = (tmp_path / "deep" / f"capture.bin.{form}" for form in ("html", "txt", "png"))
    for file in (page, listing, picture):
        assert f": deep/{file.name}" in ran.err
    # Places in the code of this program, told by memray's own reporters.
    assert "pipeline/workfile/writer.py" in page.read_text()
    assert re.search(r"largest allocating locations.*\n(.*\n)*.*pipeline/[\w/]+\.py:\d+ -> ", listing.read_text())
    assert picture.read_bytes().startswith(b"\x89PNG")


# -- the other commands


def test_indicators_as_json_is_the_registry(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("indicators", "--json")
    assert ran.code == 0
    listed = {entry["id"]: entry for entry in json.loads(ran.out)}
    assert list(listed) == list(INDICATORS)
    for declared in INDICATORS.values():
        entry = listed[declared.id]
        assert (entry["table"], entry["family"], entry["mode"]) == (declared.table, declared.family, declared.mode)
        assert entry["min_bars"] >= 1
        assert [column["label"] for column in entry["columns"]] == [
            declared.label(column) for column in declared.columns
        ]
        assert all(column["name"] and column["unit"] and column["meaning"] for column in entry["columns"])


def test_indicators_as_a_table_has_a_line_for_each(candlemill: Callable[..., Ran]) -> None:
    ran = candlemill("indicators")
    assert ran.code == 0
    for declared in INDICATORS.values():
        line = rf"^ *{declared.id} +{re.escape(declared.title)} +{re.escape(declared.table)} +{declared.family} "
        assert re.search(line, ran.out, re.MULTILINE)


def test_demo_twice_gives_rows_without_repetition_and_leaves_no_server(
    candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    # A database that is around does not matter: the demo has its own.
    env = {"DATABASE_URL": "postgresql://nowhere/x"}
    for _ in range(2):
        ran = candlemill("demo", "--intervals", "1h", "--mode", "incremental", "--json", env=env)
        assert ran.code == 0, ran.err
        assert ran.record["symbols"] == 12
        assert ran.record["rows"] == ran.record["sqlite_rows_written"] >= 12 * 9
        assert ran.record["errors"] == []
        assert processes_of(tmp_path) == []
    database = tmp_path / "data" / "demo" / "market_data.db"
    keys = ", ".join(KEY)
    with closing(sqlite3.connect(database)) as connection:
        for declared in INDICATORS.values():
            there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (declared.table,)).fetchall()
            assert bool(there) == (declared.mode == "incremental")
            if there:
                query = f'SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {keys} FROM "{declared.table}"))'
                rows, different = connection.execute(f'{query} FROM "{declared.table}"').fetchone()
                assert rows == different >= 12
    assert len(rows_of(database, f'SELECT * FROM "{BASE}" WHERE 当前价格 > 0')) >= 12


def test_a_demo_that_is_told_to_end_leaves_no_server_and_no_half_work(tmp_path: Path) -> None:
    words, left = [str(CANDLEMILL), "demo", "--intervals", "1h"], ["market_data.db"]
    # On a busy machine a run may be at its commit before it is told, and is complete then: the next one is told.
    for attempt in range(10):
        place = tmp_path / str(attempt)
        place.mkdir()
        with subprocess.Popen(words, cwd=place, stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            # The server runs, and the run has begun.
            assert next((line for line in child.stderr if "auto chose 12 symbols" in line), None)
            running = processes_of(place)
            child.send_signal(signal.SIGTERM)
            child.stderr.read()
            code = child.wait(60)
        assert running
        still = [pid for pid in running if pid in processes_of(place)]
        for pid in still:
            os.kill(pid, signal.SIGINT)
        assert still == []
        left = sorted(file.name for file in (place / "data" / "demo").iterdir())
        if "market_data.db" not in left:
            assert code != 0
            break
        database = place / "data" / "demo" / "market_data.db"
        if rows_of(database, "SELECT name FROM sqlite_master"):
            assert len(rows_of(database, f'SELECT * FROM "{BASE}"')) == 12
        else:
            # Told between the making of the file and the commit.
            assert code != 0
    assert left == ["server"]


def test_the_list_of_commands_cuts_no_description(candlemill: Callable[..., Ran]) -> None:
    assert "..." not in candlemill("--help").out.partition("Commands:")[2]
