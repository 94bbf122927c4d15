"""``doctor``: nothing to say about a good setup, and for each real fault what it is and how to mend it."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb
import psycopg
import pytest

from candlemill.pipeline.base.intervals import DEFAULT_INTERVALS
from candlemill.pipeline.demo.market import current_minute, load_market
from candlemill.pipeline.doctor import examine
from candlemill.pipeline.doctor.files import disks
from candlemill.pipeline.doctor.source import clock, source
from candlemill.pipeline.source.schema import init_db
from tests.conftest import Ran, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from candlemill.pipeline.doctor.check import Check
    from tests.conftest import Server

FUTURES = [name for name in DEFAULT_INTERVALS if name != "1m"]
MENDING = re.compile(r"\b(set|give|check|make|move|restore|free|load|run|GRANT|try|mend|write)\b")
SUMMED = """
    CREATE VIEW market_data.binance_futures_metrics_1h_last AS
    SELECT
        symbol,
        date_bin('1 hour', create_time, TIMESTAMP '2000-01-03') AS bucket,
        (array_agg(sum_open_interest ORDER BY create_time DESC))[1] AS sum_open_interest,
        (array_agg(sum_open_interest_value ORDER BY create_time DESC))[1] AS sum_open_interest_value,
        sum(count_toptrader_long_short_ratio) AS count_toptrader_long_short_ratio,
        sum(sum_toptrader_long_short_ratio) AS sum_toptrader_long_short_ratio,
        sum(count_long_short_ratio) AS count_long_short_ratio,
        sum(sum_taker_long_short_vol_ratio) AS sum_taker_long_short_vol_ratio,
        bool_and(is_closed) AS complete
    FROM market_data.binance_futures_metrics_5m
    GROUP BY 1, 2
"""


@pytest.fixture(scope="module")
def market(server: Server) -> str:
    """Name of a database with a market up to now."""
    url = server.database("doctor")
    init_db(url)
    load_market(url, current_minute())
    return url.rpartition("/")[2]


@pytest.fixture
def broken(server: Server, market: str) -> Callable[..., str]:
    """URL of a copy of the market in which something was broken."""

    def copied(*faults: str, user: str = "postgres") -> str:
        name = f"{market}_{uuid4().hex}"
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{market}"'.encode())
        change(server.url_of(name), *faults)
        return server.url_of(name, user)

    return copied


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c timezone=UTC") as connection:
        for statement in statements:
            connection.execute(statement.encode())


def failures(checks: Iterable[Check]) -> dict[str, str]:
    """What is not well, by the name of the check; each says how to mend it."""
    found = {check.name: check.seen for check in checks if check.ok is False}
    for seen in found.values():
        assert MENDING.search(seen), seen
    return found


def test_nothing_is_wrong_with_a_good_setup_and_nothing_is_written(
    server: Server, market: str, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = candlemill("doctor", "--source", server.url_of(market))
    assert ran.code == 0, ran.out
    assert all(line.startswith("ok    ") for line in ran.out.splitlines())
    for what in ("version", "sqlite extension", "environment", "source", "clock", "result database", "work file"):
        assert f"ok    {what}: " in ran.out
    for name in DEFAULT_INTERVALS:
        assert re.search(rf"^ok    candles {name}: candles_{name}, newest 2\d\d\d-", ran.out, re.MULTILINE)
    assert "ok    metrics 5m: binance_futures_metrics_5m, newest 2" in ran.out
    assert "ok    metrics 1h: binance_futures_metrics_1h_last, newest 2" in ran.out
    assert list(tmp_path.iterdir()) == []


def test_a_broken_setup_ends_with_2_and_shows_no_secret(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port = connection.getsockname()[1]
    (tmp_path / "notes.txt").write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    (tmp_path / "folder").mkdir()
    env = {"DATABASE_URL": f"postgresql://me:geheim@127.0.0.1:{port}/market", "PGPASSWORD": "geheimer"}
    ran = candlemill("doctor", "--sqlite", "notes.txt", "--duckdb", "folder", "--json", env=env)
    assert ran.code == 2
    assert "geheim" not in ran.out + ran.err
    checks = {check["name"]: check for check in json.loads(ran.out)}
    assert checks["environment"]["seen"].endswith("DATABASE_URL, PGPASSWORD")
    wrong = {name: check["seen"] for name, check in checks.items() if not check["ok"]}
    assert set(wrong) == {"source", "result database", "work file"}
    for seen in wrong.values():
        assert MENDING.search(seen), seen


# -- the source


def test_without_a_source_the_machine_and_the_files_are_checked(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("doctor")
    assert ran.code == 0, ran.out
    [line] = [line for line in ran.out.splitlines() if not line.startswith("ok    ")]
    assert line == ("none  source: give --source URL or set DATABASE_URL; `candlemill demo` needs none")
    (tmp_path / "folder").mkdir()
    ran = candlemill("doctor", "--duckdb", "folder", "--json")
    assert ran.code == 2
    found = {check["name"]: check["ok"] for check in json.loads(ran.out)}
    assert (found.pop("source"), found.pop("work file")) == (None, False)
    assert all(found.values())


def test_metrics_that_are_summed_are_found_by_the_5m_rows_and_mended_as_said(broken: Callable[..., str]) -> None:
    drop = "DROP VIEW market_data.binance_futures_metrics_1h_last"
    url = broken(drop, SUMMED)
    found = failures(source(url))
    assert set(found) == {"metrics 1h"}
    [times] = re.findall(r"about (\d+\.\d) times the last of the 12 5m rows", found["metrics 1h"])
    assert 6 < float(times) < 20
    assert "summed" in found["metrics 1h"]
    assert "sum_taker_long_short_vol_ratio" in found["metrics 1h"]
    assert "sum_open_interest" not in found["metrics 1h"]
    [mending] = re.findall(r"make the right one: (.*), and run `candlemill init-db`", found["metrics 1h"])
    change(url, mending)
    init_db(url)
    assert failures(source(url)) == {}


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (
            ["DELETE FROM market_data.candles_5m WHERE bucket_ts > now() - INTERVAL '2 hours'"],
            {"candles 5m": "too old"},
        ),
        (["TRUNCATE market_data.candles_15m"], {"candles 15m": "nothing since"}),
        (["UPDATE market_data.candles_1h SET bucket_ts = bucket_ts + INTERVAL '900 hours'"], {"candles 1h": "future"}),
        (
            ["UPDATE market_data.binance_futures_metrics_5m SET create_time = create_time + INTERVAL '800 hours'"],
            {f"metrics {name}": "future" for name in FUTURES},
        ),
        (
            ["ALTER TABLE market_data.candles_4h ALTER bucket_ts TYPE timestamp"],
            {"candles 4h": "bucket_ts is timestamp without time zone instead of timestamp with time zone"},
        ),
        (["ALTER TABLE market_data.candles_1d DROP COLUMN volume"], {"candles 1d": "volume is missing"}),
        (
            ["DROP TABLE market_data.candles_1m, market_data.candles_4h"],
            dict.fromkeys(["candles 1m", "candles 4h"], "no table"),
        ),
    ],
    ids=lambda part: part[0][:50] if isinstance(part, list) else "",
)
def test_a_fault_of_the_source_is_said(faults: list[str], says: dict[str, str], broken: Callable[..., str]) -> None:
    found = failures(source(broken(*faults)))
    assert set(found) == set(says)
    for name, part in says.items():
        assert part in found[name]


def test_values_that_are_not_numbers_are_no_sums(broken: Callable[..., str]) -> None:
    nan = "UPDATE market_data.binance_futures_metrics_5m SET sum_open_interest = 'NaN', count_long_short_ratio = 'NaN'"
    assert failures(source(broken(nan))) == {}


def test_a_relation_that_the_role_may_not_read_is_said(broken: Callable[..., str]) -> None:
    url = broken(
        "CREATE ROLE nurse LOGIN",
        "GRANT USAGE ON SCHEMA market_data TO nurse",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO nurse",
        "REVOKE SELECT ON market_data.candles_1h, market_data.binance_futures_metrics_1d_last FROM nurse",
        user="nurse",
    )
    found = failures(source(url))
    assert set(found) == {"candles 1h", "metrics 1d"}
    owner = url.replace("nurse@", "postgres@")
    for said in found.values():
        change(owner, *said.partition(": ")[2].split("; "))
    assert failures(source(url)) == {}
    change(owner, "DROP OWNED BY nurse", "DROP ROLE nurse")


def test_what_is_built_here_is_no_fault_and_is_said(broken: Callable[..., str]) -> None:
    url = broken("DROP TABLE market_data.candles_4h", "DROP VIEW market_data.binance_futures_metrics_4h_last")
    checks = {check.name: check for check in source(url)}
    assert all(check.ok for check in checks.values())
    assert checks["candles 4h"].seen == "no table: built from candles_1m"
    assert checks["metrics 4h"].seen == "the last row of each bucket of binance_futures_metrics_5m"


def test_clocks_that_differ_are_said() -> None:
    assert clock(timedelta(seconds=0.2)).ok
    assert failures([clock(timedelta(seconds=9))])["clock"].startswith("the server's clock and ours differ by 9.0 s")


# -- the files


@pytest.fixture
def files(work_file: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A result database and a work file of the test's own."""
    for name in ("result.db", "work.duckdb"):
        (tmp_path / name).write_bytes((work_file.parent / name).read_bytes())
    return tmp_path / "result.db", tmp_path / "work.duckdb"


def test_good_files_are_described(files: tuple[Path, Path]) -> None:
    with closing(sqlite3.connect(files[0])) as connection, connection:
        connection.execute("CREATE TABLE notes (note TEXT)")
    checks = {check.name: check for check in examine(None, *files)}
    assert all(check.ok for name, check in checks.items() if name != "source")
    assert re.search(r"journal mode wal, 38 tables of ours, 1 of others", checks["result database is sound"].seen)
    assert re.search(r"storage version v\S+, the record of 1 runs", checks["work file"].seen)


def test_a_damaged_result_database_is_said(files: tuple[Path, Path]) -> None:
    file = files[0]
    [root] = rows_of(file, "SELECT max(rootpage) AS page FROM sqlite_master WHERE type = 'index'")
    body = bytearray(file.read_bytes())
    start = (root["page"] - 1) * 4096
    body[start : start + 4096] = b"\xff" * 4096
    file.write_bytes(body)
    found = failures(examine(None, *files))
    assert "restore it" in found["result database is sound"]


def test_a_table_of_somebody_else_under_our_name_is_said(files: tuple[Path, Path]) -> None:
    with closing(sqlite3.connect(files[0])) as connection, connection:
        connection.execute('ALTER TABLE "MACD柱状扫描器.py" RENAME COLUMN 数据时间 TO note')
    assert "数据时间" in failures(examine(None, *files))["result database"]


def test_a_work_file_that_is_none_or_of_somebody_else_is_said(files: tuple[Path, Path], tmp_path: Path) -> None:
    notes, other = tmp_path / "notes.txt", tmp_path / "other.duckdb"
    notes.write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    with closing(duckdb.connect(str(other))) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS a")
    for file in (notes, other):
        seen = failures(examine(None, files[0], file))["work file"]
        assert f"{file} cannot be read as a work file" in seen


def test_a_disk_that_cannot_hold_the_files_once_more_is_said(tmp_path: Path) -> None:
    huge, small = tmp_path / "huge.db", tmp_path / "small.duckdb"
    with huge.open("wb") as file:
        file.truncate(8 * 2**40)
    small.touch()
    [seen] = failures(disks(huge, small)).values()
    assert f"free at least {2 * 8 * 2**20} MB" in seen
    huge.unlink()
    assert failures(disks(huge, small)) == {}
