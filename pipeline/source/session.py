"""The one way to open a session with PostgreSQL: what is set in it, and for how long an answer is waited for.

No code of others runs in a session: its search path is pg_catalog and, last, pg_temp, which would come first where it
is not named. Its times are in UTC, its texts UTF-8. One that reads cannot write. Every session gives up on a lock and
on a statement in time; what one that writes is doing ends with our process, however that ends. What is asked for in the
options of the URL, for the role or the database wins over the limits, and over none of the rest.

A pooler may stand between us and the server. PgBouncer refuses or ignores options, and when it pools transactions, the
next one of the same client may be in another server's session: what is set in one leaks to other clients. So settings
are made by statements. The server itself is known by its process, whose number it tells at the start and again when it
is asked; a pooler tells a number of its own. With the server itself settings are made once. Behind a pooler nothing is
ever set outside a transaction: every transaction begins with the settings, and a statement outside one gets one.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import errors, pq
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from ..base.errors import UsageError, one_line
from ..base.shown import keep_secret
from ..base.statements import Sql, join, literal, render, statement
from .urls import understood

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

log = logging.getLogger(__name__)

CONNECT_SECONDS = 4
STATEMENT_SECONDS = 60
#: How long a table that somebody has locked is waited for.
LOCK_SECONDS = 10
#: The same where a session writes: many rows take long, and so do others that write into the same table.
WRITING_SECONDS = 1800
WRITING_LOCK_SECONDS = 60
#: How much longer than the server may take for a statement its answer is waited for.
GRACE_SECONDS = 10
#: How long an answer is waited for where the server is told to take any time.
LONGEST_SECONDS = 3600

_SAFE = {
    "search_path": "pg_catalog, pg_temp",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    # Doubles keep all their digits as text.
    "extra_float_digits": "1",
}
#: A setting of the transaction that a session is in, which is none of a session that begins.
_OF_TRANSACTION = "transaction_read_only"
_READING = {"default_transaction_read_only": "on", _OF_TRANSACTION: "on"}
#: One process serves a statement: its other processors have other work, and beside a run on the same machine helpers
#: cost more than they bring. Compiling a statement over many chunks takes longer than running it.
_YIELDING = {"max_parallel_workers_per_gather": "0", "jit": "off"}
#: Parameters of a connection, where neither the URL nor the environment has another.
_CONNECTION: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "fallback_application_name": "candlemill",
    # A server that is gone is noticed within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Session(psycopg.Connection[TupleRow]):
    """A connection in autocommit, with settings; made by ``session``.

    Attributes:
        direct: whether it is the server's own session; otherwise a pooler stands between.
        options: with which another direct connection is set likewise.
        carried: the same as a statement, which sets it for the rest of a transaction.
        patience: seconds for which an answer is waited for; None: any.
        sent_along: rows of the statement that was sent along with the settings.
    """

    direct = True
    options = ""
    carried = Sql("")
    patience: float | None = LOCK_SECONDS + GRACE_SECONDS
    sent_along: list[TupleRow]

    @contextmanager
    def transaction(self, savepoint_name: str | None = None, force_rollback: bool = False) -> Iterator[Any]:
        """A transaction, as psycopg has it; behind a pooler it begins with the settings."""
        begins = not self.direct and self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if begins:
                self.execute(self.carried.encode())
            yield transaction

    @contextmanager
    def waiting(self, seconds: float | None) -> Iterator[None]:
        """End the connection where the block takes longer than that; None: never.

        Raises psycopg.OperationalError, which says so.
        """
        if seconds is None:
            yield
            return
        passed = Event()

        def end() -> None:
            passed.set()
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)

        timer = Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.OperationalError as error:
            if passed.is_set():
                raise psycopg.OperationalError(f"no answer within {seconds:.0f} s") from error
            raise
        finally:
            timer.cancel()


class _Cursor(psycopg.Cursor[TupleRow]):
    """A cursor of a session: its statements are waited for in time, and have the settings wherever they run."""

    def execute(self, *words: Any, **options: Any) -> Self:
        connection = cast("Session", self.connection)
        if connection.direct or connection.info.transaction_status != TransactionStatus.IDLE:
            with connection.waiting(connection.patience):
                return super().execute(*words, **options)
        try:
            with connection.transaction():
                return super().execute(*words, **options)
        except errors.ActiveSqlTransaction:
            # It begins transactions of its own, as the refresh of an aggregate does, and has done nothing yet.
            with connection.waiting(connection.patience):
                return super().execute(*words, **options)


@contextmanager
def session(
    url: str, *, writes: bool = False, seconds: int | None = None, along: Sql | None = None
) -> Iterator[Session]:
    """A session, to the end of the block.

    Args:
        url: of the database, as libpq takes it.
        writes: whether it may write; a statement may then take longer.
        seconds: how long a statement may take, where not as long as usual.
        along: a statement to send along with the settings; its rows are ``sent_along``.

    Raises:
        psycopg.Error: the server cannot be reached or refuses us.
        UsageError: the URL cannot be read, or the options that are asked for can neither reach the server nor be set by
            a statement.
    """
    usual, lock = (WRITING_SECONDS, WRITING_LOCK_SECONDS) if writes else (STATEMENT_SECONDS, LOCK_SECONDS)
    limits = {"statement_timeout": f"{seconds or usual}s", "lock_timeout": f"{lock}s"}
    with connected(url) as connection:
        _set(connection, _SAFE if writes else _SAFE | _READING, limits | _YIELDING, along)
        if writes:
            _end_with_us(connection)
        yield connection


def pools_sessions(connection: Session, url: str) -> bool:
    """Whether the server's session is ours until we close a connection that is not direct.

    Two connections ask in turns which of the server's processes serves them. If one of them sees a second process, or
    the other's, transactions are pooled. In a pool without other clients it does so within the first three turns,
    whichever process is taken next, and among many soon after. Where no answer comes in time nothing is known.
    """
    seen: tuple[set[int], set[int]] = (set(), set())
    try:
        with connected(url) as other:
            for turn in (0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0):
                seen[turn].add(_process((connection, other)[turn]))
                if len(seen[turn]) > 1 or seen[0] & seen[1]:
                    return False
    except psycopg.OperationalError:
        return False
    return True


def _process(connection: Session) -> int:
    """Number of the server's process that serves a connection at the moment."""
    with connection.waiting(CONNECT_SECONDS):
        # Without the settings, which take a transaction and change nothing about it.
        [row] = psycopg.Cursor(connection).execute("SELECT pg_catalog.pg_backend_pid()").fetchall()
    return int(row[0])


def connected(url: str) -> Session:
    """A connection in which nothing is set yet. Raises psycopg.Error, and UsageError for a URL that cannot be read."""
    asked = set(understood(url))
    asked |= {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.val}
    added = {name: value for name, value in _CONNECTION.items() if name not in asked}
    try:
        made = Session.connect(url, autocommit=True, cursor_factory=_Cursor, client_encoding="UTF8", **added)
    except psycopg.OperationalError as error:
        # libpq may have found one in a file.
        if error.pgconn is not None:
            keep_secret(error.pgconn.password.decode(errors="surrogateescape"))
        raise
    keep_secret(made.info.password)
    return made


def _set(connection: Session, safe: Mapping[str, str], yielding: Mapping[str, str], along: Sql | None) -> None:
    """Make the settings and read them back, all in one message."""
    # From the URL, the environment or a file of libpq's.
    [options] = [option.val for option in connection.pgconn.info if option.keyword == b"options"]
    asked = (options or b"").decode()
    own, others = _asked(asked)
    told = literal(connection.info.backend_pid)
    known = {name.lower() for name in (*safe, *yielding)}
    wanted = [
        *(_wanted(name, value, behind_pooler=True) for name, value in own.items() if name not in known),
        *(_wanted(name, own.get(name, value), yields=True) for name, value in yielding.items()),
        *(_wanted(name, value) for name, value in safe.items()),
    ]
    query = render(statement("source/session"), told=told, wanted=join(wanted))
    limit = statement("source/session_limit")
    cursor = connection.execute(join([query, limit, *([along] if along else [])], ";\n").encode())
    cursor.nextset()
    rows = cursor.fetchall()
    connection.direct = all(ours for *_, ours in rows)
    if connection.direct:
        ours = [f"-c {name}={_escaped(value)}" for name, value, _ in rows if name != _OF_TRANSACTION]
        connection.options = " ".join([asked, *ours]).strip()
    settings = [Sql(f"pg_catalog.set_config({literal(name)}, {literal(value)}, TRUE)") for name, value, _ in rows]
    connection.carried = Sql(f"SELECT {join(settings)}")
    cursor.nextset()
    [(milliseconds,)] = cursor.fetchall()
    connection.patience = milliseconds / 1000 + GRACE_SECONDS if milliseconds else LONGEST_SECONDS
    if along:
        cursor.nextset()
        connection.sent_along = cursor.fetchall()
    if not connection.direct:
        # A prepared statement would be looked for in another session.
        connection.prepare_threshold = None
        if others:
            raise UsageError(
                "options do not get through the pooler before the source: give only -c NAME=VALUE, in the URL and in "
                "PGOPTIONS, which are set by statements"
            )


def _end_with_us(connection: Session) -> None:
    """Let the server notice that our process is gone while it works for us, where it can."""
    query = render(statement("source/session_end"), local=Sql("FALSE" if connection.direct else "TRUE"))
    try:
        with connection.transaction():
            found = connection.execute(query.encode()).fetchall()
    except errors.InvalidParameterValue as error:
        log.debug("a statement may outlive this process on this server: %s", one_line(error))
        return
    if found and not connection.direct:
        connection.carried = join([connection.carried, query], ";\n")


def _wanted(name: str, value: str, *, yields: bool = False, behind_pooler: bool = False) -> Sql:
    flags = [Sql("TRUE") if flag else Sql("FALSE") for flag in (yields, behind_pooler)]
    return Sql(f"({literal(name)}, {literal(value)}, {join(flags)})")


def _asked(options: str) -> tuple[dict[str, str], bool]:
    """The settings that options ask for, as the server takes options apart, and whether there are others, too."""
    words = iter(re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options, re.DOTALL))
    settings, others = {}, False
    for word in words:
        if word == "-c":
            word = "-c" + next(words, "")
        name, equals, value = word[2:].partition("=")
        if word[:2] in ("-c", "--") and equals:
            settings[name.replace("-", "_").lower()] = value
        else:
            others = True
    return settings, others


def _escaped(value: str) -> str:
    return re.sub(r"([\s\\])", r"\\\1", value)
