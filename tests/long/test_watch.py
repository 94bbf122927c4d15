"""``watch`` as its users have it: what it leaves, what it says, what it outlives, and how it ends."""

from __future__ import annotations

import json
import re
import resource
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.demo.server import embedded_postgres
from candlemill.pipeline.live.health import Health, Watched, stale_after
from candlemill.pipeline.source.schema import init_db
from tests.conftest import CANDLEMILL, rows_of
from tests.moving import Coin, Market
from tests.test_workfile import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Ran, Server

FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
ASKED = ("--symbols", "all", "--intervals", "1m,5m", "--lookback", "40", "--indicators", "macd,base_data")
#: Looks every 0.2 s.
OFTEN = ("--every", "1m=0.2,5m=0.4", "--delay", "0")
MACD = INDICATORS["macd"].table


@pytest.fixture(scope="module")
def market(server: Server) -> Market:
    return made(server.database("watch"))


def made(url: str) -> Market:
    init_db(url)
    market = Market(url, [Coin("AAA"), Coin("BBB")], names=("1m", "5m"))
    market.play(datetime.now(UTC))
    return market


class Watching:
    """A watch in a process of its own; its log goes to a file."""

    def __init__(self, url: str, folder: Path, *words: str) -> None:
        self.folder = folder
        self._log = folder / "log"
        command = [str(CANDLEMILL), "watch", "--source", url, *ASKED, *OFTEN, *FILES, "--log-level", "debug", *words]
        with self._log.open("w") as log:
            self.child = subprocess.Popen(command, cwd=folder, stderr=log, stdout=subprocess.DEVNULL)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def health(self) -> dict[str, Any]:
        """The health file; it is there whole, or not at all."""
        file = self.folder / "work.health.json"
        plain: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"passes": 0}
        return plain

    @property
    def seconds_to_next(self) -> float:
        """Until the next look that the schedule makes."""
        moments = [datetime.fromisoformat(watched["next_due"]) for watched in self.health["intervals"]]
        return (min(moments) - datetime.now(UTC)).total_seconds()

    def until(self, what: str, happened: Callable[[], object]) -> None:
        for _ in range(600):
            if happened():
                return
            assert self.child.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(f"{what} never came:\n{self.log}")

    def until_told(self, text: str) -> None:
        self.until(text, lambda: re.search(text, self.log))

    def until_passed(self, more: int = 1) -> None:
        wanted = self.health["passes"] + more
        self.until(f"pass {wanted}", lambda: self.health["passes"] >= wanted)

    def ended(self, by: signal.Signals) -> int:
        self.child.send_signal(by)
        return self.child.wait(timeout=60)


@contextmanager
def watching(url: str, folder: Path, *words: str) -> Iterator[Watching]:
    found = Watching(url, folder, *words)
    try:
        yield found
    finally:
        found.child.kill()
        found.child.wait()


def newest(folder: Path, symbol: str = "AAA") -> tuple[str, float]:
    query = f"SELECT 数据时间, MACD FROM \"{MACD}\" WHERE 交易对 = ? AND 周期 = '1m' ORDER BY 数据时间 DESC LIMIT 1"
    [row] = rows_of(folder / "result.db", query, symbol)
    return row["数据时间"], row["MACD"]


def left_in(folder: Path) -> list[str]:
    """Files of the folder; a reader who was there when a writer closed leaves SQLite's own beside its database."""
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("result.db-"))


def grow(market: Market) -> None:
    """Let the forming bars of the market grow."""
    market.execute("UPDATE market_data.candles_1m SET close = close * 1.01, high = high * 1.02 WHERE bucket_ts > %s",
                   datetime.now(UTC) - timedelta(minutes=2))  # fmt: skip


def test_it_recomputes_what_has_changed_and_ends_by_itself(
    market: Market, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    with watching(market.url, tmp_path, "--for", "6", "--publish", "60") as watch:
        watch.until_passed()
        first = newest(tmp_path)
        market.play(datetime.now(UTC))
        grow(market)
        watch.until("another value", lambda: newest(tmp_path) != first)
        status = candlemill("watch", "--status", "--duckdb", "work.duckdb")
        told = candlemill("watch", "--status", "--json", "--duckdb", "work.duckdb")
        assert watch.child.wait(timeout=60) == 0
    assert status.code == told.code == 0, status.out
    assert status.out.rstrip().endswith("fresh")
    assert re.search(r"^ 1m +\d{4}-", status.out, re.MULTILINE)
    assert (told.record["fresh"], told.record["errors"]) == (True, [])
    assert [watched["interval"] for watched in told.record["intervals"]] == ["1m", "5m"]
    # The first pass left a work file; the others wait for the next one.
    assert len(rows(tmp_path / "work.duckdb", "FROM runs")) == 1
    assert watch.log.count(" INFO    run complete: ") == 1
    assert left_in(tmp_path) == ["log", "result.db", "work.duckdb", "work.health.json"]


def test_a_watch_that_begins_again_begins_with_the_bars_of_its_work_file(market: Market, tmp_path: Path) -> None:
    with watching(market.url, tmp_path) as watch:
        watch.until_passed()
        watch.child.kill()
    market.play(datetime.now(UTC))
    with watching(market.url, tmp_path, "--runs", "2") as watch:
        assert watch.child.wait(timeout=60) == 0
    assert re.search(r" INFO    a warm start: 1\d\d bars from the work file ", watch.log), watch.log
    bars = rows(tmp_path / "work.duckdb", "SELECT list(pg_rows ORDER BY started_at) FROM runs")[0][0]
    assert bars[-1] < bars[0] / 2


def test_passes_between_two_work_files_are_in_the_history(market: Market, tmp_path: Path) -> None:
    with watching(market.url, tmp_path, "--publish", "3") as watch:
        watch.until_passed()
        grow(market)
        watch.until("a second work file", lambda: watch.log.count("INFO    run complete") == 2)
        assert watch.ended(signal.SIGTERM) == 143
    history = rows(tmp_path / "work.duckdb", "SELECT len(intervals), rows FROM runs ORDER BY started_at")
    assert len(history) >= 3
    assert history[0] == history[-1] == (2, 8)
    assert all(0 < written <= 8 for _, written in history)


@pytest.mark.parametrize(
    ("by", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_it_cleanly(by: signal.Signals, code: int, word: str, market: Market, tmp_path: Path) -> None:
    own = ("--pid-file", "watch.pid", "--metrics-file", "watch.prom")
    with watching(market.url, tmp_path, *own) as watch:
        watch.until_passed()
        assert (tmp_path / "watch.pid").read_text() == f"{watch.child.pid}\n"
        watch.until("metrics", (tmp_path / "watch.prom").exists)
        assert watch.ended(by) == code
    assert watch.log.splitlines()[-1] == f"candlemill: {word}, the passes before stay written"
    assert "Traceback" not in watch.log
    assert left_in(tmp_path) == ["log", "result.db", "watch.prom", "work.duckdb", "work.health.json"]


def test_it_outlives_a_server_that_goes_away(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="candlemill-tests-") as place:
        with embedded_postgres(Path(place) / "postgres") as url:
            market = made(url)
            # Seldom enough for the server to go between two passes: within one, ConnectorX waits half a minute.
            child = Watching(url, tmp_path, "--listen", "--every", "1m=4,5m=4")
            child.until_passed(2)
            first = newest(tmp_path)
            # On a busy machine its first connection may have come too late, and been told of.
            before = child.log.count("no notices from")
        try:
            child.until_told(r"ERROR .*\(it is tried again and again\)")
            child.until("the error in the health file", lambda: child.health["errors"])
            lost = child.health
            with embedded_postgres(Path(place) / "postgres") as again:
                assert again == url
                market.play(datetime.now(UTC) + timedelta(minutes=1))
                child.until_told("a pass has ended well again, after [1-9]")
                grow(market)
                child.until("another value", lambda: newest(tmp_path) != first)
                assert child.ended(signal.SIGTERM) == 143
        finally:
            child.child.kill()
            child.child.wait()
    assert child.log.count("(it is tried again and again)") == 1
    assert child.log.count("no notices from") in {max(before, 1), before + 1}
    assert lost["passes"] >= 2
    assert "cannot connect" in lost["errors"][-1]["message"]


def test_a_locked_result_database_costs_only_the_passes_it_is_locked_for(market: Market, tmp_path: Path) -> None:
    with watching(market.url, tmp_path, "--lock-timeout", "0.1") as watch:
        watch.until_passed()
        first = newest(tmp_path)
        with closing(sqlite3.connect(tmp_path / "result.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            grow(market)
            watch.until_told("stayed locked for 0.1 s: .*at the next pass")
            assert newest(tmp_path) == first
            other.execute("ROLLBACK")
        watch.until("another value", lambda: newest(tmp_path) != first)
        assert watch.log.count("stayed locked") == 1
        assert "stayed locked" in watch.health["errors"][-1]["message"]
        assert watch.health["wal_mb"] < 256


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
def test_a_full_disk_costs_only_the_passes_it_is_full_for(market: Market, tmp_path: Path) -> None:
    with watching(market.url, tmp_path, "--publish", "1") as watch:
        watch.until_passed()
        passes = watch.health["passes"]
        # Small enough for no work file, large enough for the log and the health file.
        resource.prlimit(watch.child.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        watch.until_told("ERROR .*at the next pass")
        watch.until("the error in the health file", lambda: watch.health["errors"])
        # The result database is kept up to date all the same.
        first = newest(tmp_path)
        grow(market)
        watch.until("another value", lambda: newest(tmp_path) != first)
        resource.prlimit(watch.child.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        watch.until("a work file", lambda: len(rows(tmp_path / "work.duckdb", "FROM runs")) > passes)
        assert watch.ended(signal.SIGTERM) == 143
    assert left_in(tmp_path) == ["log", "result.db", "work.duckdb", "work.health.json"]


def test_a_notice_wakes_it(market: Market, tmp_path: Path) -> None:
    with watching(market.url, tmp_path, "--listen", "--every", "1m=3600,5m=3600", "--delay", "5") as watch:
        watch.until_passed()
        watch.until("a listener", lambda: listeners(market.url))
        # A bar that ends makes a pass as well, whatever --every says.
        watch.until("some time until the next bar", lambda: watch.seconds_to_next > 20)
        passes = watch.health["passes"]
        with psycopg.connect(market.url, autocommit=True) as connection:
            connection.execute('NOTIFY candle_1m_update, \'{"symbol": "AAA", "exchange": "another"}\'')
            time.sleep(0.5)
            assert watch.health["passes"] == passes
            connection.execute('NOTIFY candle_1m_update, \'{"symbol": "AAA", "exchange": "binance_futures_um"}\'')
        watch.until_passed(passes + 1 - watch.health["passes"])
        assert "intervals=1 " in watch.log.splitlines()[-1]


def listeners(url: str) -> int:
    with psycopg.connect(url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN candle_1m_update'"
        [found] = connection.execute(query).fetchone() or (0,)
    return int(found)


def test_a_command_is_told_what_changes_shows(market: Market, candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    market.play(datetime.now(UTC))
    words = ("--source", market.url, "--symbols", "all", "--intervals", "1m,5m", "--lookback", "40", *FILES)
    before = (datetime.now(UTC) - timedelta(minutes=12)).isoformat()
    assert candlemill("run", *words, "--as-of", before).code == 0
    for _ in range(2):
        # The second watch has nothing new to tell.
        ran = candlemill("watch", *words, *OFTEN, "--runs", "2", "--on-change", "cat >> told; exit 3")
        assert ran.code == 0, ran.err
        assert (tmp_path / "told").exists(), ran.err
    assert ran.err.count("--on-change ended with 3") == 0
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    shown = json.loads(candlemill("changes", "--sqlite", "result.db", "--json").out)
    assert len(told) == len(shown) > 0
    assert sorted(told, key=str) == sorted(shown, key=str)


def test_wrong_usage_ends_it_at_once(candlemill: Callable[..., Ran], market: Market, tmp_path: Path) -> None:
    for code, *words in (
        (2, "--source", market.url, "--every", "1m"),
        (2, "--source", market.url, "--json"),
        (2, "--source", "http://somewhere"),
        (2,),
        (4, "--source", market.url, "--sqlite", "."),
    ):
        ran = candlemill("watch", *words)
        assert ran.code == code
        assert len(ran.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_the_status_of_nothing_and_of_something_else(candlemill: Callable[..., Ran], tmp_path: Path) -> None:
    ran = candlemill("watch", "--status")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("candlemill: there is no data/candlemill.health.json: start `candlemill watch`")
    (tmp_path / "work.health.json").write_text('{"intervals": [{}]}')
    ran = candlemill("watch", "--status", "--duckdb", "work.duckdb")
    assert (ran.code, ran.out) == (1, "")
    assert "work.health.json is not a health file of candlemill" in ran.err


# -- the health file


NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def healthy() -> Health:
    watched = [Watched("1m", 600, newest_bar=NOW - timedelta(seconds=90))]
    return Health(1, "0.1.0", "postgresql://db", NOW, watched, fresh_until=NOW + timedelta(seconds=70))


def test_health_comes_back_as_it_was_written(tmp_path: Path) -> None:
    health = healthy()
    for number in range(12):
        health.fail(f"trouble {number}", NOW)
    health.write(tmp_path / "file", NOW)
    assert Health.read(tmp_path / "file") == health
    assert [error.message for error in health.errors] == [f"trouble {number}" for number in range(2, 12)]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_results_are_stale_when_passes_or_bars_stay_away() -> None:
    assert healthy().stale(NOW) == []
    assert healthy().stale(NOW + timedelta(seconds=80)) == ["the last pass that ended well was due again 0:01:10 ago"]
    health = healthy()
    health.intervals[0].newest_bar = NOW - timedelta(seconds=601)
    assert health.stale(NOW) == ["the newest bar of 1m began 0:10:01 ago"]
    health.intervals[0].newest_bar = health.fresh_until = None
    assert health.stale(NOW) == ["no pass has ended well yet", "1m has no bars"]


def test_what_is_just_in_time_is_not_stale() -> None:
    health = healthy()
    health.intervals[0].newest_bar = NOW + timedelta(seconds=70) - timedelta(seconds=600)
    assert health.stale(NOW + timedelta(seconds=70)) == []
    assert len(health.stale(NOW + timedelta(seconds=70, microseconds=1))) == 2


@pytest.mark.parametrize(
    ("name", "seconds"),
    # 600 seconds, or one and a half bars where that is more.
    [("1m", 600), ("5m", 600), ("15m", 1350), ("1h", 5400), ("1d", 129_600), ("1w", 907_200)],
)
def test_a_bar_may_be_as_old_as_readers_take_for_fresh(name: str, seconds: int) -> None:
    interval = INTERVALS[name]
    assert stale_after(interval, closed_only=False) == timedelta(seconds=seconds)
    # A closed bar is known a bar later.
    assert stale_after(interval, closed_only=True) == timedelta(seconds=seconds) + interval.length
