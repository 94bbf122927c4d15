"""Sessions: what is set in each, who wins over whom, that no code of others runs in one, and that none waits long."""

from __future__ import annotations

import re
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pytest

from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.base.statements import Sql
from candlemill.pipeline.record import Record
from candlemill.pipeline.source import session as sessions
from candlemill.pipeline.source.bulk import ByConnectorX, ByCopy, ReadError, bulk, parsed
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.session import connected, pools_sessions, session
from tests import goldens
from tests.conftest import rows_of
from tests.faults.proxy import proxy
from tests.long.test_ingest import START, bars, metric, write
from tests.long.test_watch import made, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from candlemill.pipeline.source.bulk import Bulk
    from candlemill.pipeline.source.session import Session
    from tests.conftest import Ran, Server

CASE = goldens.HERE / "synth_core"
AS_OF = datetime(2026, 1, 22, 9, 7, tzinfo=UTC)
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
PASSWORD = "open: 'sesame' \\ ü"


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c search_path=pg_catalog") as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def market(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture
def own(server: Server) -> str:
    """A database of a test's own."""
    return server.database("session")


def set_in(connection: Session, *names: str) -> list[str]:
    return [connection.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0] for name in names]


def set_where_rows_come_from(url: str, *names: str) -> list[str]:
    with session(url) as connection:
        way = bulk(connection, url)
    values = ", ".join(f"current_setting('{name}') AS \"{name}\"" for name in names)
    table = way.read(Sql(f"SELECT {values}"), pa.schema([(name, pa.string()) for name in names]))
    return [table[name][0].as_py() for name in names]


# -- what is set

SAFE = ("search_path", "TimeZone", "client_encoding", "DateStyle", "standard_conforming_strings", "extra_float_digits")
READING = ("transaction_read_only", "statement_timeout", "lock_timeout", "jit", "max_parallel_workers_per_gather")


def test_a_session_that_reads_and_one_that_writes_have_their_settings(market: str) -> None:
    expected = ["pg_catalog, pg_temp", "UTC", "UTF8", "ISO, MDY", "on", "1"]
    with session(market) as connection:
        assert connection.direct
        assert set_in(connection, *SAFE) == expected
        assert set_in(connection, *READING) == ["on", "1min", "10s", "off", "0"]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE market_data.mine ()")
    assert set_where_rows_come_from(market, *SAFE, *READING) == [*expected, "on", "1min", "10s", "off", "0"]
    with session(market, writes=True) as connection:
        assert set_in(connection, *SAFE) == expected
        assert set_in(connection, *READING) == ["off", "30min", "1min", "off", "0"]
        assert set_in(connection, "client_connection_check_interval") == ["2s"]
        assert connection.patience == 1810


WISHES = {"statement_timeout": "7s", "lock_timeout": "3s", "max_parallel_workers_per_gather": "2", "jit": "on"}
HARM = {
    "search_path": "public",
    "timezone": "Asia/Kathmandu",
    "datestyle": "German",
    "default_transaction_read_only": "off",
    "extra_float_digits": "0",
    "client_encoding": "LATIN1",
    "intervalstyle": "iso_8601",
}


def test_what_a_user_asks_for_wins_over_the_limits_and_over_nothing_else(own: str) -> None:
    asked = (*WISHES, "search_path", "timezone", "transaction_read_only", "extra_float_digits")
    asked += ("client_encoding", "intervalstyle")
    expected = [*WISHES.values(), "pg_catalog, pg_temp", "UTC", "on", "1", "UTF8", "postgres"]

    def check(url: str) -> None:
        with session(url) as connection:
            assert set_in(connection, *asked) == expected
            assert set_in(connection, "datestyle")[0].startswith("ISO")
            assert connection.patience == 17
        assert set_where_rows_come_from(url, *asked) == expected

    check(own + "?options=" + quote(" ".join(f"-c {name}={value}" for name, value in (WISHES | HARM).items())))
    database = own.rpartition("/")[2]
    for place in (f"DATABASE {database}", f"ROLE postgres IN DATABASE {database}"):
        execute(own, *(f"ALTER {place} SET {name} = '{value}'" for name, value in (WISHES | HARM).items()))
        check(own)
        execute(own, f"ALTER {place} RESET ALL")


PARAMETERS = ("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count")


def parameters(url: str, *names: str) -> list[str | None]:
    """What a connection was made with."""
    with connected(url) as connection:
        found = {option.keyword.decode(): option.val for option in connection.pgconn.info}
    return [value.decode() if (value := found[name]) else None for name in names]


def test_a_connection_notices_that_its_server_is_gone(market: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a minute: it is asked after 30 s, and has three times 10 s to answer. A user may want it otherwise."""
    assert parameters(market, *PARAMETERS) == ["4", "30", "10", "3"]
    assert parameters(market, "application_name", "fallback_application_name") == [None, "candlemill"]
    assert parameters(f"{market}?keepalives_idle=70&connect_timeout=9", *PARAMETERS) == ["9", "70", "10", "3"]
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "8")
    assert parameters(market, *PARAMETERS) == ["8", "30", "10", "3"]


def test_the_servers_own_sessions_are_nobody_elses(market: str) -> None:
    with session(market) as connection:
        assert pools_sessions(connection, market)


@pytest.mark.parametrize(
    ("options", "settings", "others"),
    [
        ("", {}, False),
        ("-c jit=on", {"jit": "on"}, False),
        ("-cjit=on --lock-timeout=3s -c  Work_Mem=1MB", {"jit": "on", "lock_timeout": "3s", "work_mem": "1MB"}, False),
        (r"-c a=x\ y\\z -c b=", {"a": r"x y\z", "b": ""}, False),
        ("-c a=1 -c a=2", {"a": "2"}, False),
        ("-c a=b=c", {"a": "b=c"}, False),
        ("-B 5 -c jit=on", {"jit": "on"}, True),
        ("-c jit", {}, True),
        ("-c jit=on -c", {"jit": "on"}, True),
        ("-d=5", {}, True),
    ],
)
def test_options_are_taken_apart_as_the_server_does(options: str, settings: dict[str, str], others: bool) -> None:
    """Behind a pooler they are set by statements; what is no setting cannot be."""
    assert sessions._asked(options) == (settings, others)


def test_who_wants_no_limit_is_waited_for_all_the_same(own: str) -> None:
    with session(f"{own}?options=-c%20statement_timeout%3D0") as connection:
        assert set_in(connection, "statement_timeout") == ["0"]
        assert connection.patience == 3600


def test_what_libpq_takes_from_the_environment_and_its_files_holds_for_the_rows(
    server: Server, market: str, tmp_path: Path, candlemill: Callable[..., Ran]
) -> None:
    """A service, its password in a file, options, an address, and an encoding that has no Chinese."""
    database = market.rpartition("/")[2]
    execute(
        market,
        f"CREATE ROLE servant LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'",
        "GRANT USAGE ON SCHEMA market_data TO servant",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO servant",
    )
    rules = server.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"local all servant scram-sha-256\n{before}")
    server.reload()
    words = ("run", "--symbols", "BTCUSDT", "--intervals", "5m", "--as-of", AS_OF.isoformat(), "--indicators", "macd")
    try:
        with proxy(market) as url:
            port = url.rpartition("/")[0].rpartition(":")[2]
            (tmp_path / "services").write_text(
                f"[desk]\nhost=db.example\nhostaddr=127.0.0.1\nport={port}\ndbname={database}\nuser=servant\n"
            )
            escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
            (tmp_path / "passwords").write_text(f"db.example:*:*:servant:{escaped}\n")
            (tmp_path / "passwords").chmod(0o600)
            env = {
                "PGSERVICEFILE": str(tmp_path / "services"),
                "PGPASSFILE": str(tmp_path / "passwords"),
                "PGCLIENTENCODING": "latin1",
                "PGOPTIONS": "-c statement_timeout=7s",
            }
            for source, more in (("postgresql://?service=desk", {}), ("postgresql://", {"PGSERVICE": "desk"})):
                ran = candlemill(*words, "--source", source, *FILES, "--log-level", "debug", env=env | more)
                assert ran.code == 0, ran.err
                assert PASSWORD not in ran.err
                wrong = candlemill(*words, "--source", source, *FILES, env=env | more | {"PGPASSFILE": "/nowhere"})
                assert wrong.code == 3
    finally:
        rules.write_text(before)
        server.reload()
        execute(market, "DROP OWNED BY servant", "DROP ROLE servant")
    assert rows_of(tmp_path / "result.db", f'SELECT 交易对 FROM "{INDICATORS["macd"].table}"')


@pytest.mark.parametrize("place", ["in the URL", "in the environment"])
def test_the_address_that_libpq_used_is_used_for_the_rows(
    place: str, market: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(market) as url:
        asked = url.replace("@127.0.0.1", "@db.example")
        if place == "in the URL":
            asked += "?hostaddr=127.0.0.1"
        else:
            monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        source = Source.connect(asked, Record(AS_OF, "", [], 0))
        assert isinstance(source._bulk, ByConnectorX)
        assert source.candles(INTERVALS["5m"], "binance_futures_um", None, AS_OF, 10).num_rows


# -- code of others


@pytest.fixture(scope="module")
def hostile(server: Server) -> Iterator[Callable[[str], str]]:
    """A database in which all that the server has of its own has a stand-in, for roles that would meet those first.

    URL for a role: ``reader`` may read, ``keeper`` owns the schema.
    """
    market, roles = made(server.database("hostile")), ("reader", "keeper")
    name = market.url.rpartition("/")[2]
    execute(
        market.url,
        *(f"CREATE ROLE {role} LOGIN" for role in roles),
        f"GRANT CREATE ON DATABASE {name} TO keeper",
        "GRANT USAGE ON SCHEMA market_data TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA market_data TO reader",
        "DROP TABLE market_data.candles_1d",
        "DROP VIEW market_data.binance_futures_metrics_1d_last",
        "ALTER SCHEMA market_data OWNER TO keeper",
        "DO $$ DECLARE one REGCLASS; BEGIN"
        " FOR one IN SELECT oid FROM pg_class"
        " WHERE relnamespace = 'market_data'::regnamespace AND relkind IN ('r', 'v')"
        " LOOP EXECUTE format('ALTER TABLE %s OWNER TO keeper', one); END LOOP; END $$",
        (Path(__file__).parent / "hostile.sql").read_text(),
        *(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = public, pg_catalog" for role in roles),
    )
    yield lambda role: server.url_of(name, role)
    execute(market.url, *(f"DROP OWNED BY {role} CASCADE" for role in roles), *(f"DROP ROLE {role}" for role in roles))


@pytest.fixture
def attacks(server: Server) -> Callable[[], set[str]]:
    """What ran of the stand-ins since the test began."""
    before = len(server.log())
    return lambda: set(re.findall(r"ATTACK by (.*)", server.log()[before:]))


def test_the_stand_ins_run_where_nothing_is_done_about_it(
    hostile: Callable[[str], str], attacks: Callable[[], set[str]]
) -> None:
    with psycopg.connect(hostile("reader")) as connection:
        connection.execute(
            "SELECT string_agg('a'::text, ','::text), max(1.5::numeric), set_config('jit', 'off', TRUE),"
            " date_part('epoch', now()), 'a'::text = 'b'::text, 1 < 2 FROM market_data.candles_1m"
        )
    assert attacks() == {"string_agg", "max", "set_config", "date_part", "now", "=", "<"}


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("reader", ("run", "--symbols", "auto", *FILES)),
        ("reader", ("run", "--symbols", "all", "--intervals", "1m,5m,15m", *FILES)),
        ("reader", ("symbols", "--symbols", "auto,all")),
        ("reader", ("doctor",)),
        ("keeper", ("init-db",)),
        ("keeper", ("ingest", "binance-vision", "in")),
    ],
    ids=lambda part: " ".join(part[:3]) if isinstance(part, tuple) else part,
)
def test_no_command_runs_code_of_others(
    role: str,
    words: tuple[str, ...],
    hostile: Callable[[str], str],
    attacks: Callable[[], set[str]],
    candlemill: Callable[..., Ran],
    tmp_path: Path,
) -> None:
    write(tmp_path / "in" / "BTCUSDT-5m-2026-01-18.csv", bars(20, "5m"))
    write(tmp_path / "in" / "BTCUSDT-metrics-2026-01-18.csv", [metric(START)])
    ran = candlemill(*words, "--source", hostile(role))
    assert ran.code in (0, 2), ran.err
    assert ran.code == 0 or words[0] == "doctor", ran.err
    assert attacks() == set()


def test_no_watch_runs_code_of_others(
    hostile: Callable[[str], str], attacks: Callable[[], set[str]], tmp_path: Path
) -> None:
    with watching(hostile("reader"), tmp_path, "--listen") as watch:
        watch.until_passed(3)
        assert watch.ended(signal.SIGTERM) == 143
    assert attacks() == set()


# -- how long it is waited for


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "GRACE_SECONDS", 0.5)


QUICK = "?options=-c%20statement_timeout%3D1s"


@pytest.mark.parametrize("way", [ByConnectorX, ByCopy])
@pytest.mark.usefixtures("hurry")
def test_rows_that_do_not_come_are_waited_for_in_time(way: type[Bulk], market: str) -> None:
    with proxy(market, fall_silent=True) as url:
        asked = url + QUICK + ("&sslnegotiation=postgres" if way is ByConnectorX else "&require_auth=none")
        source = Source.connect(asked, Record(AS_OF, "", [], 0))
        assert isinstance(source._bulk, way)
        begun = time.monotonic()
        with pytest.raises(SourceError, match=r"reading market_data\.candles_5m failed: no answer within 2 s"):
            source.candles(INTERVALS["5m"], "binance_futures_um", None, AS_OF, 400)
        assert time.monotonic() - begun < 30
        # What is left to itself keeps no process from ending.
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "connectorx")


@pytest.mark.usefixtures("hurry")
def test_a_session_that_gets_no_answer_ends(market: str) -> None:
    with proxy(market, fall_silent=True) as url, session(url + QUICK) as connection:
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="no answer within 2 s"):
            connection.execute("SELECT repeat('x', 100000)")
        assert time.monotonic() - begun < 30


def test_a_statement_that_fails_in_time_is_told_as_it_is(market: str) -> None:
    with session(market) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")


# -- what COPY gives

TEXTS = pa.schema([("text", pa.string()), ("number", pa.int64())])


def test_copy_tells_null_from_an_empty_text_and_takes_any_text(market: str) -> None:
    odd = [None, "", '"', '""', "a,b", "a\nb", "a\r\nb", "\n", " ", "\\.", "\\N", "NULL", "N/A", "交易对 🕯️", "'"]
    with session(market) as connection:
        way = ByCopy(market, connection.carried, 30)
        told = ", ".join(f"({'NULL' if text is None else sql_literal(text)}, {n})" for n, text in enumerate(odd))
    found = way.read(Sql(f"SELECT text, n FROM (VALUES {told}) AS v (text, n)"), TEXTS)
    assert found["text"].to_pylist() == odd
    assert found["number"].to_pylist() == list(range(len(odd)))
    one = pa.schema([("text", pa.string())])
    assert way.read(Sql("SELECT * FROM (VALUES (NULL), (''), ('a'), (NULL)) AS v"), one)["text"].to_pylist() == [
        None, "", "a", None,
    ]  # fmt: skip


def sql_literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_no_rows_are_a_table_without_rows() -> None:
    assert parsed(b"", TEXTS).schema == TEXTS


def test_a_statement_that_copy_refuses_is_an_error_without_a_traceback(market: str) -> None:
    with session(market) as connection:
        way = ByCopy(market, connection.carried, 30)
    with pytest.raises(ReadError, match="read-only transaction"):
        way.read(Sql("DELETE FROM market_data.candles_5m RETURNING symbol"), TEXTS)
