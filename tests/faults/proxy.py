"""A TCP way to the embedded server, which listens on a socket only; it can slam itself in the middle of an answer."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

#: From this many bytes on an answer is one of bars, not of the catalogue.
A_LOT = 30_000


@contextmanager
def proxy(url: str, cut: bool = False) -> Iterator[str]:
    """URL of the same database over TCP. With ``cut``, connections end in the middle of their first long answer."""
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    host, port = place.rsplit(":", 1)
    target = f"{unquote(host)}/.s.PGSQL.{port}"
    with socket.create_server(("127.0.0.1", 0)) as connection:
        threading.Thread(target=_serve, args=(connection, target, cut), daemon=True).start()
        yield f"postgresql://{login}@127.0.0.1:{connection.getsockname()[1]}{parts.path}"


def _serve(connection: socket.socket, target: str, cut: bool) -> None:
    with suppress(OSError):
        while True:
            client, _ = connection.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(target)
            threading.Thread(target=_pass_on, args=(client, server, False), daemon=True).start()
            threading.Thread(target=_pass_on, args=(server, client, cut), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket, cut: bool) -> None:
    passed = 0
    with suppress(OSError), source, target:
        while data := source.recv(4096):
            passed += len(data)
            if cut and passed > A_LOT:
                break
            target.sendall(data)
        for side in (source, target):
            side.shutdown(socket.SHUT_RDWR)
