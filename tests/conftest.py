"""Real servers and real processes: an embedded PostgreSQL for the session, the installed command line, SQLite apart."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from candlemill.pipeline.compute import compiler
from candlemill.pipeline.demo.server import embedded_postgres
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANDLEMILL = Path(sys.executable).with_name("candlemill")


@pytest.fixture(scope="session")
def lanes() -> None:
    """Compiled lanes, kept from test to test, and from one session to the next."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "lanes"))
    assert compiler.lanes_pay(windows=1 << 40, indicators=1)


@pytest.fixture
def hangups() -> Iterator[None]:
    """What the test starts hears SIGHUP, also where nohup has started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@dataclass
class Ran:
    """What a child process of the command line did."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


@dataclass
class Server:
    """The embedded PostgreSQL of the session."""

    url: str
    folder: Path
    _names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def database(self, label: str) -> str:
        """URL of a new, empty database."""
        name = f"{label}_{next(self._names)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url_of(name)

    def url_of(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """URL of a database of this server over its socket, for some user."""
        with psycopg.connect(self.url) as connection:
            host, port = quote(connection.info.host, safe=""), connection.info.port
        login = quote(user, safe="") if password is None else f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@{host}:{port}/{database}"

    def reload(self, **settings: str) -> None:
        """Set (an empty value: reset) what the server is configured to do, and wait until new sessions have it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name, value in settings.items():
                place = sql.Identifier(name)
                if value:
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(place, sql.Literal(value)))
                else:
                    connection.execute(sql.SQL("ALTER SYSTEM RESET {}").format(place))
            [before] = connection.execute("SELECT clock_timestamp()").fetchone() or [None]
            connection.execute("SELECT pg_reload_conf()")
        for _ in range(500):
            with psycopg.connect(self.url) as connection:
                if connection.execute("SELECT pg_conf_load_time() > %s", [before]).fetchone() == (True,):
                    return
            time.sleep(0.01)
        raise AssertionError("the server did not reload its configuration")

    def log(self) -> str:
        """The server's own log so far."""
        return (self.folder / "log").read_text(errors="replace")


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One PostgreSQL for all tests; it does not wait for the disk.

    Its folder is none of pytest's: a second session of the same user would close that to the server's own user.
    """
    with TemporaryDirectory(prefix="candlemill-tests-") as place, embedded_postgres(Path(place) / "postgres") as url:
        folder = Path(place) / "postgres"
        running = Server(url, folder)
        running.reload(fsync="off", synchronous_commit="off", full_page_writes="off")
        yield running


@pytest.fixture(scope="session")
def golden_url(server: Server) -> Callable[[Path], str]:
    """URL of a database that holds a golden case; each case is loaded once."""
    loaded: dict[Path, str] = {}

    def load(case: Path) -> str:
        if case not in loaded:
            loaded[case] = server.database("golden")
            goldens.load(case, loaded[case])
        return loaded[case]

    return load


@pytest.fixture(scope="session")
def work_file(golden_url: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work file of a run of everything over a golden market. Tests only read it."""
    folder = tmp_path_factory.mktemp("analysts")
    case = goldens.HERE / "synth_core"
    words = [str(CANDLEMILL), "run", "--source", golden_url(case), "--as-of", goldens.description(case)["as_of"]]
    words += ["--symbols", "all", "--sqlite", "result.db", "--duckdb", "work.duckdb"]
    subprocess.run(words, cwd=folder, capture_output=True, check=True)
    return folder / "work.duckdb"


@pytest.fixture
def candlemill(tmp_path: Path) -> Callable[..., Ran]:
    """Runs the installed command in a folder of the test's own, without any configuration from outside."""

    def command(*words: object, env: dict[str, str] | None = None, timeout: float = 60) -> Ran:
        keep = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
        clean = {name: os.environ[name] for name in keep if name in os.environ}
        done = subprocess.run(
            [str(CANDLEMILL), *map(str, words)],
            cwd=tmp_path,
            env=clean | (env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return command


def listening(child: subprocess.Popen[str]) -> None:
    """Wait until a process hears what tells it to end; before that it is Python that starts, and ends wordless."""
    status = Path(f"/proc/{child.pid}/status")
    while True:
        [caught] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt:")]
        if int(caught, 16) & 1 << signal.SIGTERM - 1:
            return
        assert child.poll() is None
        time.sleep(0.001)


def rows_of(database: Path, query: str, *parameters: object) -> list[dict[str, Any]]:
    """Rows of a query over a result database, which no run of this process has attached."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, parameters)]


def dump_of(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a result database holds: rows by table in rowid order, and the schema."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        content = {
            name: connection.execute(f'SELECT rowid, * FROM "{name}" ORDER BY rowid').fetchall() for name in tables
        }
        content["schema"] = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        return content
