"""What goes wrong is said in one line, with the exit code of its kind, and leaves every file as it was."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import duckdb
import psycopg
import pytest
from psycopg import sql

from candlemill.indicators.registry import INDICATORS
from tests import goldens
from tests.conftest import CANDLEMILL, Ran, dump_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server

CASE = goldens.HERE / "synth_lengths"
AS_OF = "2026-01-22T09:07:00+00:00"
FILES = ("--sqlite", "result.db", "--duckdb", "work.duckdb")
ASKED = ("--symbols", "AAAUSDT,N60USDT", "--intervals", "5m", "--as-of", AS_OF)
FEW = ("--indicators", "macd,base_data,futures_sentiment")
MACD, BASE, FUTURES = (INDICATORS[name].table for name in ("macd", "base_data", "futures_sentiment"))
LOGGED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|WARNING|ERROR) ")
PASSWORD = "Geh eim:/ö@'%41\"\\"


class Refused(Protocol):
    """Runs a command line that must fail with a code, checks what holds for every failure, returns its message."""

    def __call__(self, code: int, *words: object, env: dict[str, str] | None = None) -> str: ...


@pytest.fixture(scope="session")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


@pytest.fixture(scope="module")
def finished(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two files of a run."""
    folder = tmp_path_factory.mktemp("finished")
    words = [str(CANDLEMILL), "run", "--source", url, *ASKED, *FEW, *FILES]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    assert sorted(file.name for file in folder.iterdir()) == ["result.db", "work.duckdb"]
    return folder


@pytest.fixture
def refused(candlemill: Callable[..., Ran], finished: Path, tmp_path: Path) -> Refused:
    for file in finished.iterdir():
        shutil.copy(file, tmp_path)

    def command(code: int, *words: object, env: dict[str, str] | None = None) -> str:
        before = contents(tmp_path)
        ran = candlemill(*words, env=env)
        assert ran.code == code, ran.err
        assert ran.out == ""
        unlogged = [line for line in ran.err.splitlines() if not LOGGED.match(line)]
        assert len(unlogged) == 1, ran.err
        assert unlogged[0].startswith("candlemill: ")
        assert contents(tmp_path) == before
        return unlogged[0]

    return command


@pytest.fixture(scope="module", autouse=True)
def silence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[tuple[Ran, float]]]:
    """What a run says to a server that never answers, and after how many seconds; it runs beside the other tests."""
    folder = tmp_path_factory.mktemp("silence")

    def run(port: int) -> tuple[Ran, float]:
        start = time.monotonic()
        words = [str(CANDLEMILL), "run", "--source", f"postgresql://me:geheim@127.0.0.1:{port}/market"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        return Ran(done.returncode, done.stdout, done.stderr), time.monotonic() - start

    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        yield pool.submit(run, silent.getsockname()[1])


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder byte for byte, and every folder.

    A connection that only reads leaves an empty log and its index beside an SQLite database: no part of the data.
    """
    found = {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
    return {name: body for name, body in found.items() if body != b"" and not name.endswith("-shm")}


# -- wrong usage


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--intervals", "5m,7m"), ("interval '7m'", "5m, 15m")),
        (("--indicators", "macdd"), ("indicator 'macdd'", "did you mean 'macd'?")),
        (("--mode", "fast"), ("mode 'fast'", "all, batch, incremental")),
        (("--as-of", "yesterday"), ("'yesterday'", "ISO 8601", "2026-01-18T14:00:00+00:00")),
        (("--retention", "5m=0"), ("retention '5m=0'", "INTERVAL=ROWS", "at least 1")),
        (("--retention", "5m=99999999999999999999"), ("retention '5m=99999999999999999999'",)),
        (("--memray", "/proc/nowhere/capture.bin"), ("--memray", "cannot be written")),
    ],
    ids=lambda part: "=".join(part) if part and part[0].startswith("--") else "",
)
def test_wrong_values_are_refused_before_anything_is_done(
    words: tuple[str, ...], says: tuple[str, ...], refused: Refused, url: str
) -> None:
    message = refused(2, "run", "--source", url, *FILES, *words)
    for part in says:
        assert part in message


@pytest.mark.parametrize("words", [("--lookback", "0"), ("--workers", "many"), ("--nonsense",)])
def test_wrong_options_are_said_in_one_line_too(words: tuple[str, ...], refused: Refused, url: str) -> None:
    assert words[0] in refused(2, "run", "--source", url, *words)


def test_an_unknown_command_is_said_in_one_line_too(refused: Refused) -> None:
    assert "'runn'" in refused(2, "runn")


@pytest.mark.parametrize("command", ["run", "init-db"])
def test_no_source_names_the_option_and_the_variable(command: str, refused: Refused) -> None:
    message = refused(2, command)
    assert "--source" in message
    assert "DATABASE_URL" in message
    assert command != "run" or "candlemill demo" in message


@pytest.mark.parametrize(
    "source", ["mysql://me:geheim@localhost/market", "postgresql://me:ge heim@localhost:port/market"]
)
def test_a_source_that_is_no_postgresql_url(source: str, refused: Refused) -> None:
    message = refused(2, "run", "--source", source, *FILES)
    assert "postgresql://" in message
    assert "heim" not in message


@pytest.mark.parametrize("words", [("--as-of", "0001-01-01"), ("--as-of", AS_OF, "--lookback", "1000000")])
def test_a_window_that_begins_before_the_calendar_is_no_crash(
    words: tuple[str, ...], candlemill: Callable[..., Ran], url: str
) -> None:
    ran = candlemill("run", "--source", url, "--symbols", "AAAUSDT", "--intervals", "5m", *FEW, *FILES, *words)
    assert ran.code in (0, 2, 5), ran.err
    assert "Traceback" not in ran.err


def test_the_traceback_follows_the_line_at_level_debug(candlemill: Callable[..., Ran], url: str) -> None:
    ran = candlemill("run", "--source", url, "--mode", "fast", "--log-level", "debug")
    lines = ran.err.splitlines()
    assert ran.code == 2
    assert lines[0].startswith("candlemill: unknown mode")
    assert lines[1] == "Traceback (most recent call last):"


# -- the source


def test_an_unreachable_server_is_told_at_once(refused: Refused) -> None:
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port = connection.getsockname()[1]
    source = f"postgresql://me:geheim@127.0.0.1:{port}/market"
    start = time.monotonic()
    message = refused(3, "run", "--source", source, *FILES)
    assert time.monotonic() - start < 5
    assert "postgresql://me@127.0.0.1" in message
    assert "check the URL" in message
    assert "geheim" not in message


def test_a_database_without_the_schema_names_init_db(refused: Refused, server: Server) -> None:
    message = refused(3, "run", "--source", server.database("bare"), *FILES)
    assert "market_data" in message
    assert "candlemill init-db" in message


def test_an_interval_that_cannot_be_had_is_named(refused: Refused, url: str) -> None:
    message = refused(3, "run", "--source", url, "--symbols", "AAAUSDT", "--intervals", "1h", "--as-of", AS_OF, *FILES)
    assert "market_data.candles_1h" in message
    assert "candles_1m" in message


@pytest.fixture(scope="module")
def roles(server: Server, url: str) -> Iterator[Callable[[str], str]]:
    """URL of the case for roles with different rights; ``desk`` has to give a password."""
    database = url.rpartition("/")[2]
    name, secret = sql.Identifier, sql.Literal(PASSWORD)
    everywhere = sql.SQL("ALL TABLES IN SCHEMA market_data")
    grants = {
        "desk": everywhere,
        "blind": None,
        "candles_only": sql.SQL("market_data.candles_5m"),
    }
    rules = server.folder / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(server.url_of(database), autocommit=True) as connection:
        for role, what in grants.items():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name(role), secret))
            if what:
                connection.execute(sql.SQL("GRANT USAGE ON SCHEMA market_data TO {}").format(name(role)))
                connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(what, name(role)))
    rules.write_text(f"local all desk scram-sha-256\n{before}")
    server.reload()
    yield lambda role: server.url_of(database, role)
    rules.write_text(before)
    server.reload()
    with psycopg.connect(server.url_of(database), autocommit=True) as connection:
        for role in grants:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(name(role)))


def login(url: str, password: str) -> str:
    return url.replace("@", f":{quote(password, safe='')}@", 1)


def test_a_role_without_rights_is_told_which_it_needs(refused: Refused, roles: Callable[[str], str]) -> None:
    message = refused(3, "run", "--source", roles("blind"), *ASKED, *FILES)
    assert "market_data.candles_5m" in message
    assert "GRANT USAGE" in message
    assert "SELECT" in message


@pytest.mark.parametrize("place", ["in the URL", "in the environment"])
def test_a_wrong_password_is_told_and_not_shown_even_in_the_traceback(
    place: str, candlemill: Callable[..., Ran], roles: Callable[[str], str]
) -> None:
    wrong, asked = PASSWORD + "x", roles("desk")
    source, env = (login(asked, wrong), {}) if place == "in the URL" else (asked, {"PGPASSWORD": wrong})
    ran = candlemill("run", "--source", source, *ASKED, *FILES, "--log-level", "debug", env=env)
    assert ran.code == 3
    lines = ran.err.splitlines()
    assert lines[0].startswith("candlemill: cannot connect to the source postgresql://desk@")
    assert 'password authentication failed for user "desk"' in lines[0]
    assert lines[1] == "Traceback (most recent call last):"
    assert not shows(ran.err)


def test_a_role_with_select_only_is_enough_and_its_password_is_in_no_log_and_no_file(
    roles: Callable[[str], str], candlemill: Callable[..., Ran], finished: Path, tmp_path: Path
) -> None:
    source = login(roles("desk"), PASSWORD)
    ran = candlemill("run", "--source", source, *ASKED, *FEW, *FILES, "--log-level", "debug", "--json")
    assert ran.code == 0, ran.err
    assert dump_of(tmp_path / "result.db") == dump_of(finished / "result.db")
    assert "desk@" in ran.record["source"]
    assert not shows(ran.out + ran.err)
    files = contents(tmp_path)
    assert ran.record["source"].encode() in (files["work.duckdb"] or b"")
    assert not any(shows((body or b"").decode(errors="replace")) for body in files.values())


def shows(text: str) -> bool:
    """Whether a text has the password in any of the forms it goes through."""
    return any(secret in text for secret in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), repr(PASSWORD)[1:-1]))


def test_metrics_that_may_not_be_read_are_reported_and_cost_only_the_futures_tables(
    roles: Callable[[str], str], candlemill: Callable[..., Ran], finished: Path, tmp_path: Path
) -> None:
    ran = candlemill("run", "--source", roles("candles_only"), *ASKED, *FEW, *FILES, "--json")
    assert ran.code == 0, ran.err
    found, expected = dump_of(tmp_path / "result.db"), dump_of(finished / "result.db")
    assert found[MACD] == expected[MACD]
    assert found[BASE] == expected[BASE]
    assert FUTURES not in found
    assert [error["interval"] for error in ran.record["errors"]] == ["5m"]
    assert "binance_futures_metrics_5m" in ran.err


# -- no candles


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--symbols", "NOSUCHUSDT"), "NOSUCHUSDT"),
        (("--symbols", "all", "--as-of", "1999-12-31"), "any symbol at 5m before 1999-12-31T00:00:00+00:00"),
        (("--symbols", "auto", "--as-of", "1999-12-31"), "--symbols all"),
    ],
)
def test_no_candles_for_what_was_asked(words: tuple[str, ...], says: str, refused: Refused, url: str) -> None:
    message = refused(5, "run", "--source", url, "--intervals", "5m", "--as-of", AS_OF, *FEW, *FILES, *words)
    assert says in message
    assert "check " in message


# -- the result database and the work file


def test_a_result_path_that_is_a_folder(refused: Refused, url: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    message = refused(4, "run", "--source", url, *ASKED, *FILES, "--sqlite", "folder")
    assert "folder is a directory" in message
    assert "--sqlite" in message


def test_a_result_path_where_nothing_can_be_made(refused: Refused, url: str) -> None:
    assert "/proc/x/y.db" in refused(4, "run", "--source", url, *ASKED, *FILES, "--sqlite", "/proc/x/y.db")


def test_a_result_file_that_is_no_database(refused: Refused, url: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Einkauf: Milch, Brot, Butter\n" * 100)
    message = refused(4, "run", "--source", url, *ASKED, *FILES, "--sqlite", "notes.txt")
    assert "notes.txt is not an SQLite database" in message
    assert "--sqlite" in message


def test_a_damaged_result_database(refused: Refused, url: str, tmp_path: Path) -> None:
    file = tmp_path / "result.db"
    body = bytearray(file.read_bytes())
    for page in range(4096, len(body), 4096):
        body[page : page + 16] = b"\xff" * 16
    file.write_bytes(body)
    message = refused(4, "run", "--source", url, *ASKED, *FEW, *FILES)
    assert "result.db is damaged" in message
    assert "restore it" in message


def test_a_table_of_somebody_else_under_our_name_is_left_alone(refused: Refused, url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute(f'CREATE TABLE "{MACD}" (交易对 TEXT, 周期 TEXT, note TEXT)')
        connection.execute(f"INSERT INTO \"{MACD}\" VALUES ('AAAUSDT', '5m', 'mine')")
    message = refused(4, "run", "--source", url, *ASKED, *FEW, *FILES, "--sqlite", "other.db")
    assert MACD in message
    assert "数据时间" in message
    assert rows_of(tmp_path / "other.db", f'SELECT note FROM "{MACD}"') == [{"note": "mine"}]


def test_a_view_under_the_name_of_one_of_our_tables_is_left_alone(refused: Refused, url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute(f'CREATE VIEW "{MACD}" AS SELECT 1 AS 交易对, 2 AS 周期, 3 AS 数据时间')
    assert MACD in refused(4, "run", "--source", url, *ASKED, *FEW, *FILES, "--sqlite", "other.db")


def test_a_work_file_path_that_is_a_folder(refused: Refused, url: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    message = refused(4, "run", "--source", url, *ASKED, *FILES, "--duckdb", "folder")
    assert "folder is a directory" in message
    assert "--duckdb" in message


def test_a_work_file_path_where_nothing_can_be_made(refused: Refused, url: str) -> None:
    message = refused(4, "run", "--source", url, *ASKED, *FILES, "--duckdb", "/proc/x/y.duckdb")
    assert "/proc/x/y.duckdb" in message
    assert "--duckdb" in message


def test_the_two_files_cannot_be_the_same(refused: Refused, url: str, tmp_path: Path) -> None:
    same = f"../{tmp_path.name}/result.db"
    message = refused(2, "run", "--source", url, *ASKED, *FEW, "--sqlite", "result.db", "--duckdb", same)
    assert "--sqlite" in message
    assert "--duckdb" in message


def test_a_database_of_somebody_else_is_not_replaced_by_the_work_file(
    refused: Refused, url: str, tmp_path: Path
) -> None:
    important = "CREATE TABLE important AS SELECT 42 AS answer"
    with closing(duckdb.connect(str(tmp_path / "mine.duckdb"))) as duck:
        duck.execute(important)
    with closing(sqlite3.connect(tmp_path / "mine.db")) as lite, lite:
        lite.execute(important)
    for name in ("mine.duckdb", "mine.db"):
        message = refused(4, "run", "--source", url, *ASKED, *FEW, "--sqlite", "result.db", "--duckdb", name)
        assert name in message
        assert "--duckdb" in message


def test_a_server_that_accepts_and_stays_silent_is_told_within_seconds(silence: Future[tuple[Ran, float]]) -> None:
    ran, seconds = silence.result()
    assert ran.code == 3
    assert re.fullmatch(r"candlemill: cannot connect to the source postgresql://me@.*timeout.*\n", ran.err)
    # ConnectorX alone would take 30.
    assert seconds < 20
