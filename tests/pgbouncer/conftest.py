"""PgBouncers before the server of the tests, in the four ways they meet a session, and neighbours in the pool."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
logfile = {folder}/log
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
ignore_startup_parameters = extra_float_digits{ignored}
"""


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer: how it pools, and what it does with the options of a connection."""

    mode: str
    options: str
    port: int

    def url(self, direct: str) -> str:
        """URL of a database of the server through this pooler."""
        parts = urlsplit(direct)
        return f"postgresql://{parts.username}@127.0.0.1:{self.port}{parts.path}"


@contextmanager
def pgbouncer(server: Server, mode: str, options: str, size: int = 4) -> Iterator[Pooler]:
    """A PgBouncer with a few of the server's sessions for each database."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "pgbouncer is not installed"
    host, port = urlsplit(server.url_of("postgres")).netloc.rpartition("@")[2].rsplit(":", 1)
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        own = connection.getsockname()[1]
    # None of pytest's folders: its user has to get there. It refuses to run as root, and the server's socket is open to
    # the server's own user only.
    with TemporaryDirectory(prefix="candlemill-pgbouncer-") as place:
        folder, user = Path(place), server.folder.owner()
        (folder / "users").write_text('"postgres" ""\n"desk" ""\n')
        ignored = ",options" if options == "ignored" else ""
        (folder / "pgbouncer.ini").write_text(
            CONFIGURATION.format(
                host=unquote(host), port=port, own=own, folder=folder, mode=mode, size=size, ignored=ignored
            )
        )
        as_user = ["-u", user] if os.geteuid() == 0 else []
        for path in (folder, *folder.iterdir()) if as_user else ():
            shutil.chown(path, user)
        words = [program, *as_user, str(folder / "pgbouncer.ini")]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                reached(own, child)
                yield Pooler(mode, options, own)
            finally:
                child.terminate()
                child.wait()


def reached(port: int, child: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        assert child.poll() is None, "pgbouncer has ended"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise AssertionError("pgbouncer does not listen")


@pytest.fixture(
    scope="session",
    params=[("session", "refused"), ("session", "ignored"), ("transaction", "refused"), ("transaction", "ignored")],
    ids="-".join,
)
def pooler(request: pytest.FixtureRequest, server: Server) -> Iterator[Pooler]:
    with pgbouncer(server, *request.param) as running:
        yield running


SETTINGS = (
    "search_path", "TimeZone", "DateStyle", "statement_timeout", "lock_timeout", "default_transaction_read_only", "jit",
    "extra_float_digits", "max_parallel_workers_per_gather", "standard_conforming_strings", "role",
)  # fmt: skip


@dataclass
class Neighbour:
    """Another client of a pool, which writes all the time and looks at its settings."""

    url: str
    rows: int = 0
    #: What it found set that it had not set.
    changed: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """Connect again and again, and write; a failure is a finding."""
        expected: dict[str, Any] = {}
        while not self._end.is_set():
            try:
                with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
                    for _ in range(20):
                        self._turn(connection, expected)
            except psycopg.Error as error:
                self.changed.append(str(error))

    def _turn(self, connection: psycopg.Connection[Any], expected: dict[str, Any]) -> None:
        for name in SETTINGS:
            [(value,)] = connection.execute("SELECT current_setting(%s)", [name]).fetchall()
            if value != expected.setdefault(name, value):
                self.changed.append(f"{name} is {value} instead of {expected[name]}")
        with connection.transaction():
            connection.execute("INSERT INTO public.neighbours VALUES (1)")
            connection.execute("SELECT pg_sleep(0.002)")
        self.rows += 1
        time.sleep(0.001)

    def end(self) -> None:
        self._end.set()


@contextmanager
def neighbours(url: str, count: int = 2) -> Iterator[list[Neighbour]]:
    """Clients that write into the same database through the same pool, to the end of the block."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS public.neighbours (n INT)")
    found = [Neighbour(url) for _ in range(count)]
    threads = [threading.Thread(target=one.work) for one in found]
    for thread in threads:
        thread.start()
    try:
        while not all(one.rows for one in found):
            assert not any(one.changed for one in found), found
            time.sleep(0.01)
        yield found
    finally:
        for one in found:
            one.end()
        for thread in threads:
            thread.join()
