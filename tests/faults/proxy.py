"""A TCP way to the embedded server, which listens on a socket only.

It can slam itself in the middle of an answer, fall silent there, or speak TLS with certificates of its own.
"""

from __future__ import annotations

import itertools
import math
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: From this many bytes on an answer is one of bars, not of the catalogue.
A_LOT = 30_000
CERTIFICATES = Path(__file__).parent.parent / "certificates"
#: What a client sends first if it wants TLS.
_WANTS_TLS = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


@contextmanager
def proxy(url: str, cut: bool = False, fall_silent: bool = False) -> Iterator[str]:
    """URL of the same database over TCP.

    With ``cut``, connections end in the middle of their first long answer; with ``fall_silent``, nothing more comes.
    """
    with socket.create_server(("127.0.0.1", 0)) as connection:
        pass_on = _cut if cut else _fall_silent if fall_silent else _pass_on
        threading.Thread(target=_serve, args=(connection, _socket(url), pass_on), daemon=True).start()
        yield _over_tcp(url, connection)


@contextmanager
def tls_proxy(url: str, *certificates: str) -> Iterator[str]:
    """URL of the same database over TCP with TLS, at db.example, whose address is given in the URL.

    A connection is shown the certificate of its turn, and those that come after the last one the last one.
    """
    turns = itertools.chain(certificates, itertools.repeat(certificates[-1]))
    with socket.create_server(("127.0.0.1", 0)) as connection:
        threading.Thread(target=_serve_tls, args=(connection, _socket(url), turns), daemon=True).start()
        yield _over_tcp(url, connection).replace("@127.0.0.1", "@db.example") + "?hostaddr=127.0.0.1"


def _socket(url: str) -> str:
    host, port = urlsplit(url).netloc.rpartition("@")[2].rsplit(":", 1)
    return f"{unquote(host)}/.s.PGSQL.{port}"


def _over_tcp(url: str, connection: socket.socket) -> str:
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[0]}@127.0.0.1:{connection.getsockname()[1]}{parts.path}"


def _serve(connection: socket.socket, target: str, pass_on: Callable[[socket.socket, socket.socket], None]) -> None:
    with suppress(OSError):
        while True:
            client, _ = connection.accept()
            _join(client, target, pass_on)


def _serve_tls(connection: socket.socket, target: str, certificates: Iterator[str]) -> None:
    with suppress(OSError):
        while True:
            client, _ = connection.accept()
            threading.Thread(target=_pass_on_tls, args=(client, target, next(certificates)), daemon=True).start()


def _pass_on_tls(client: socket.socket, target: str, certificate: str) -> None:
    """Pass on in both directions, in one thread: the two ends of a TLS connection are no two things."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem")
    with suppress(OSError), client, socket.socket(socket.AF_UNIX) as server:
        if client.recv(8) != _WANTS_TLS:
            return
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as encrypted:
            server.connect(target)
            while True:
                ready = [encrypted] if encrypted.pending() else select([encrypted, server], [], [])[0]
                for side in ready:
                    if not (data := side.recv(16384)):
                        return
                    (server if side is encrypted else encrypted).sendall(data)


def _join(client: socket.socket, target: str, pass_on: Callable[[socket.socket, socket.socket], None]) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.connect(target)
    threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
    threading.Thread(target=pass_on, args=(server, client), daemon=True).start()


def _cut(source: socket.socket, target: socket.socket) -> None:
    _pass_on(source, target, A_LOT)


def _fall_silent(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError), source, target:
        passed = 0
        while data := source.recv(4096):
            passed += len(data)
            if passed <= A_LOT:
                target.sendall(data)


def _pass_on(source: socket.socket, target: socket.socket, most: float = math.inf) -> None:
    passed = 0
    with suppress(OSError), source, target:
        while data := source.recv(4096):
            passed += len(data)
            if passed > most:
                break
            target.sendall(data)
        for side in (source, target):
            side.shutdown(socket.SHUT_RDWR)
