"""What a source can do to a run: it is said within seconds, on which table, and nothing is written."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from candlemill.indicators.registry import INDICATORS
from tests import goldens
from tests.conftest import Ran, dump_of
from tests.faults.passes import CASE, Place
from tests.faults.proxy import proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tests.conftest import Server

BASE = INDICATORS["base_data"].table


def refused(place: Place, *words: str) -> str:
    """What a run says that the source refuses; it must leave everything as it was."""
    before = dump_of(place.database), place.work.read_bytes()
    ran = place.run(1, *words)
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    assert "panicked" not in ran.err
    assert (dump_of(place.database), place.work.read_bytes()) == before
    assert place.strays() == []
    return ran.last


@pytest.fixture(scope="module")
def broken(server: Server) -> str:
    """A database of the case of one's own, to be damaged."""
    url = server.database("broken")
    goldens.load(CASE, url)
    return url


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for text in statements:
            connection.execute(text.encode())


@pytest.fixture(scope="module", autouse=True)
def slow(server: Server, first: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[tuple[Ran, float]]]:
    """A run over a view that takes its time, and how long it lasted; it goes on beside the other tests."""
    url = server.database("slow")
    goldens.load(CASE, url)
    execute(
        url,
        "ALTER TABLE market_data.candles_5m RENAME TO bars",
        "CREATE VIEW market_data.candles_5m AS"
        " SELECT b.* FROM market_data.bars AS b, LATERAL pg_sleep(0.5 + b.open::float8 * 0)",
    )
    place = first.copy(tmp_path_factory.mktemp("slow") / "place")

    def run() -> tuple[Ran, float]:
        start = time.monotonic()
        return place.run(1, "--source", url), time.monotonic() - start

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(run)


def test_a_server_that_knows_no_tls_is_told_when_the_url_wants_it(place: Place, url: str) -> None:
    with proxy(url) as connection:
        start = time.monotonic()
        message = refused(place, "--source", f"{connection}?sslmode=require")
        assert time.monotonic() - start < 10
    assert "SSL" in message
    with proxy(url) as connection:
        assert place.run(1, "--source", connection).code == 0


def test_a_connection_that_breaks_in_the_middle_of_the_bars(place: Place, url: str) -> None:
    with proxy(url, cut=True) as connection:
        message = refused(place, "--source", connection)
    assert "market_data.candles_5m failed" in message
    assert "try again" in message


def test_a_server_that_ends_the_session_while_it_reads(place: Place, url: str) -> None:
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as admin, ThreadPoolExecutor(1) as pool:
        holder.execute("LOCK TABLE market_data.candles_5m IN ACCESS EXCLUSIVE MODE")
        run = pool.submit(refused, place)
        while not admin.execute("SELECT pid FROM pg_locks WHERE NOT granted").fetchall():
            assert not run.done()
            time.sleep(0.01)
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        message = run.result()
    assert "market_data.candles_5m failed" in message
    # The server's last word arrives, or its silence is seen first.
    assert "terminating connection" in message or "connection closed" in message


def test_a_table_that_somebody_locks_is_waited_for_and_then_named(place: Place, url: str) -> None:
    start = time.monotonic()
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE market_data.candles_5m IN ACCESS EXCLUSIVE MODE")
        message = refused(place)
    assert "market_data.candles_5m failed" in message
    assert "lock timeout" in message
    assert 10 <= time.monotonic() - start < 30


def test_metrics_that_somebody_locks_cost_the_futures_tables_only(place: Place, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE market_data.binance_futures_metrics_5m IN ACCESS EXCLUSIVE MODE")
        ran = place.run(1, "--json")
    assert ran.code == 0, ran.err
    [error] = ran.record["errors"]
    assert "market_data.binance_futures_metrics_5m failed" in error["message"]
    assert "lock timeout" in error["message"]


def test_an_empty_table_of_one_interval_costs_that_interval_only(place: Place, broken: str) -> None:
    execute(broken, "CREATE TABLE market_data.candles_3m (LIKE market_data.candles_5m INCLUDING ALL)")
    whole = place.copy(place.folder.parent / "whole")
    assert whole.run(1).code == 0
    ran = place.run(1, "--source", broken, "--intervals", "3m,5m", "--json")
    assert ran.code == 0, ran.err
    assert "3m: no candles in the window" in ran.err
    assert [(stage["interval"], stage["series"]) for stage in ran.record["stages"]] == [("3m", 0), ("5m", 3)]
    assert dump_of(place.database) == dump_of(whole.database)


def test_a_table_whose_columns_hold_something_else_is_named(place: Place, broken: str) -> None:
    columns = "exchange, symbol, bucket_ts, 'dear' AS open, high, low, close, volume"
    execute(
        broken,
        f"CREATE OR REPLACE VIEW market_data.candles_30m AS SELECT {columns} FROM market_data.candles_5m",
        f"CREATE OR REPLACE VIEW market_data.candles_2h AS SELECT {columns.replace('bucket_ts', 'open AS bucket_ts')}"
        " FROM market_data.candles_5m",
    )
    message = refused(place, "--source", broken, "--intervals", "5m,30m")
    assert "market_data.candles_30m failed" in message
    message = refused(place, "--source", broken, "--intervals", "2h")
    assert "market_data.candles_2h failed" in message


def test_a_statement_that_takes_too_long_is_ended_by_the_server(slow: Future[tuple[Ran, float]]) -> None:
    ran, seconds = slow.result()
    assert ran.code == 3, ran.err
    assert "market_data.candles_5m failed" in ran.last
    assert "statement timeout" in ran.last
    assert 60 <= seconds < 90
