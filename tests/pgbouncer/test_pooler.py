"""Every command behind PgBouncer leaves what it leaves directly, beside others in the pool that notice nothing."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.statements import Sql
from candlemill.pipeline.doctor.source import source as looked_at
from candlemill.pipeline.ingest.load import ingest
from candlemill.pipeline.record import Record
from candlemill.pipeline.source.bulk import ByConnectorX, ByCopy, bulk
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.schema import init_db
from candlemill.pipeline.source.session import session
from tests import goldens
from tests.conftest import dump_of
from tests.long.test_ingest import START, bars, metric, table, write
from tests.long.test_watch import left_in, made, watching
from tests.pgbouncer.conftest import SETTINGS, neighbours, pgbouncer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran, Server
    from tests.moving import Market
    from tests.pgbouncer.conftest import Pooler

CASE = goldens.HERE / "synth_core"
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
TIMES = 20
ASKED = (
    "--symbols", "all", "--intervals", "5m,1h", "--as-of", AS_OF.isoformat(), "--indicators",
    "base_data,macd,futures_sentiment",
)  # fmt: skip


@pytest.fixture(scope="module")
def market(server: Server) -> str:
    url = server.database("pooled")
    goldens.load(CASE, url)
    return url


@pytest.fixture(scope="module")
def moving(server: Server) -> Market:
    return made(server.database("moving"))


def test_runs_leave_what_a_direct_one_leaves_and_their_neighbours_as_they_were(
    pooler: Pooler, market: str, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    def run(source: str, label: str) -> Any:
        files = ("--sqlite", f"{label}.db", "--duckdb", f"{label}.duckdb")
        ran = candlemill("run", "--source", source, *ASKED, *files, timeout=120)
        assert ran.code == 0, ran.err
        return dump_of(tmp_path / f"{label}.db")

    direct, url = run(market, "direct"), pooler.url(market)
    with neighbours(url) as others, ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda number: run(url, str(number)), range(TIMES)):
            assert found == direct
    assert [one.changed for one in others] == [[], []]


def test_what_is_read_and_checked_is_the_same(pooler: Pooler, market: str) -> None:
    def seen(url: str) -> Any:
        source = Source.connect(url, Record(AS_OF, "", [], 0))
        checks = [(check.name, check.ok) for check in looked_at(url)]
        return source.auto_symbols("binance_futures_um", AS_OF, 3), checks

    direct, url = seen(market), pooler.url(market)
    with neighbours(url) as others:
        for _ in range(TIMES):
            assert seen(url) == direct
    assert [one.changed for one in others] == [[], []]


def test_archives_are_loaded_and_schemas_made_as_directly(pooler: Pooler, server: Server, tmp_path: Path) -> None:
    files = [
        write(tmp_path / "BTCUSDT-1m-2026-01-18.csv", bars(90)),
        write(tmp_path / "ETHUSDT-1m-2026-01-18.csv", bars(60)),
        write(tmp_path / "BTCUSDT-metrics-2026-01-18.csv", [metric(START)]),
    ]
    names = ("candles_1m", "candles_5m", "candles_1h", "binance_futures_metrics_5m", "binance_futures_metrics_1h_last")
    values = dict.fromkeys(names[:3], "symbol, bucket_ts, open, high, low, close, volume, is_closed, source")
    values |= dict.fromkeys(names[4:], "*")
    values |= {names[3]: "symbol, create_time, sum_open_interest, is_closed, source"}

    def loaded(url: str, direct: str) -> Any:
        init_db(url)
        counts = []
        for _ in range(2):
            report = ingest(url, files, "binance_futures_um")
            counts.append([(file.file, file.state, file.inserted, file.updated) for file in report.files])
        return counts, {name: table(direct, name, columns, "1, 2") for name, columns in values.items()}

    # A database at another time: what a session in its zone would load is hours off.
    database = server.database("loaded")
    expected = loaded(database, database)
    assert len(expected[1]["candles_1m"]) == 150
    fresh = server.database("loaded")
    name = fresh.rpartition("/")[2]
    with psycopg.connect(fresh, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'America/New_York'".encode())
    with neighbours(pooler.url(fresh)) as others:
        for _ in range(TIMES):
            assert loaded(pooler.url(fresh), fresh) == expected
            with psycopg.connect(fresh, autocommit=True) as connection:
                connection.execute("DROP SCHEMA market_data CASCADE")
    assert [one.changed for one in others] == [[], []]


@pytest.mark.parametrize("command", ["symbols", "doctor", "ingest", "init-db"])
def test_every_command_works(
    command: str, pooler: Pooler, market: str, server: Server, candlemill: Callable[..., Ran], tmp_path: Path
) -> None:
    write(tmp_path / "in" / "BTCUSDT-1m-2026-01-18.csv", bars(90))
    words: dict[str, tuple[object, ...]] = {
        "symbols": ("symbols", "--as-of", AS_OF.isoformat(), "--json"),
        "doctor": ("doctor", "--json"),
        "ingest": ("ingest", "binance-vision", "in", "--json"),
        "init-db": ("init-db",),
    }

    def outcome(pooled: bool) -> Any:
        url = server.database("own") if command in ("ingest", "init-db") else market
        ran = candlemill(*words[command], "--source", pooler.url(url) if pooled else url)
        assert ran.code == (2 if command == "doctor" else 0), ran.err
        if command == "doctor":
            return [(check["name"], check["ok"]) for check in json.loads(ran.out)]
        return ran.out

    assert outcome(pooled=True) == outcome(pooled=False)


def test_a_watch_goes_on(pooler: Pooler, moving: Market, tmp_path: Path) -> None:
    url = pooler.url(moving.url)
    with neighbours(url) as others, watching(url, tmp_path) as watch:
        for _ in range(TIMES):
            watch.until_passed()
            moving.play(datetime.now(UTC))
        assert watch.health["errors"] == []
        assert watch.ended(signal.SIGTERM) == 143
    assert [one.changed for one in others] == [[], []]
    assert left_in(tmp_path) == ["log", "result.db", "work.duckdb", "work.health.json"]


def test_notices_come_where_sessions_are_pooled_and_are_missed_with_a_word_elsewhere(
    pooler: Pooler, moving: Market, tmp_path: Path
) -> None:
    seldom = ("--listen", "--every", "1m=3600,5m=3600", "--delay", "5")
    with watching(pooler.url(moving.url), tmp_path, *seldom) as watch:
        if pooler.mode == "transaction":
            watch.until_told(r"no notices from postgresql://\S+: the pooler there pools transactions")
            watch.until_passed()
            return
        watch.until_passed()
        passes, notice = watch.health["passes"], '{"symbol": "AAA", "exchange": "binance_futures_um"}'
        with psycopg.connect(moving.url, autocommit=True) as connection:
            for _ in range(600):
                connection.execute("SELECT pg_notify('candle_1m_update', %s)", [notice])
                if watch.health["passes"] > passes:
                    return
                time.sleep(0.05)
        raise AssertionError(watch.log)


# -- how it goes


def test_rows_come_by_connectorx_where_it_can_work(pooler: Pooler, market: str) -> None:
    url = pooler.url(market)
    with neighbours(url, 1):
        for _ in range(TIMES):
            with session(url) as connection:
                assert not connection.direct
                way = bulk(connection, url)
            assert isinstance(way, ByConnectorX if pooler.mode == "session" else ByCopy)
    with session(market) as connection:
        assert connection.direct
        assert isinstance(bulk(connection, market), ByConnectorX)


def test_every_statement_behind_a_pooler_has_the_settings_and_leaves_none(pooler: Pooler, market: str) -> None:
    import pyarrow as pa

    url = pooler.url(market)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        before = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in SETTINGS]
    asked = settings("search_path", "TimeZone", "transaction_read_only", "statement_timeout", "lock_timeout", "jit")
    expected = "pg_catalog, pg_temp UTC on 1min 10s off"
    with session(url) as connection:
        way = bulk(connection, url)
        assert connection.execute(f"SELECT {asked}".encode()).fetchall() == [(expected,)]
        with connection.transaction():
            assert connection.execute(f"SELECT {asked}".encode()).fetchall() == [(expected,)]
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
                connection.execute("DELETE FROM market_data.candles_5m")
            assert connection.execute(f"SELECT {asked}".encode()).fetchall() == [(expected,)]
    found = way.read(Sql(f"SELECT {asked} AS set"), pa.schema([("set", pa.string())]))
    assert found["set"].to_pylist() == [expected]
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        after = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in SETTINGS]
    assert after == before


def settings(*names: str) -> str:
    return " || ' ' || ".join(f"current_setting('{name}')" for name in names)


def test_options_of_the_user_are_set_behind_a_pooler_too(pooler: Pooler, market: str) -> None:
    url = f"{pooler.url(market)}?options=-c%20statement_timeout%3D7s%20--work-mem%3D5MB%20-c%20search_path%3Dpublic"
    if pooler.options == "refused":
        with pytest.raises(SourceError, match="unsupported startup parameter"):
            Source.connect(url, Record(AS_OF, "", [], 0))
        return
    with session(url) as connection:
        asked = settings("statement_timeout", "work_mem", "search_path")
        assert connection.execute(f"SELECT {asked}".encode()).fetchall() == [("7s 5MB pg_catalog, pg_temp",)]
        assert connection.patience == 17


def test_a_pool_without_a_free_session_is_waited_for_and_then_told(server: Server, market: str) -> None:
    with pgbouncer(server, "transaction", "refused", size=1) as pooler:
        url = pooler.url(market)
        source = Source.connect(url, Record(AS_OF, "", [], 0))
        object.__setattr__(source._bulk, "patience", 2)
        with psycopg.connect(url) as holder:
            holder.execute("SELECT 1")
            begun = time.monotonic()
            with pytest.raises(SourceError, match="no answer within 2 s"):
                source.candles(INTERVALS["5m"], "binance_futures_um", None, AS_OF, 10)
            assert time.monotonic() - begun < 60
        assert source.candles(INTERVALS["5m"], "binance_futures_um", None, AS_OF, 10).num_rows
