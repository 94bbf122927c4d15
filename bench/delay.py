"""A server some milliseconds away: passes on what comes through a Unix socket, each byte half a round trip later.

A process of its own, because that of the bench has other things to do while runs are timed.

    python delay.py SERVER_SOCKET OWN_SOCKET ROUND_TRIP_MS
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK = 1 << 16


@contextmanager
def delayed(url: str, folder: Path, milliseconds: float) -> Iterator[str]:
    """URL of the same database behind such a proxy, whose socket is in a folder.

    Args:
        url: of a server with a Unix socket, its folder in ``host``.
        folder: for that of the socket.
        milliseconds: of a round trip.
    """
    [host] = parse_qs(urlsplit(url).query)["host"]
    name = ".s.PGSQL.5432"
    with TemporaryDirectory(prefix="delayed-", dir=folder) as own:
        words = [sys.executable, "-I", __file__, f"{host}/{name}", f"{own}/{name}", str(milliseconds)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
            try:
                assert proxy.stdout is not None
                if proxy.stdout.readline() != "ready\n":
                    raise SystemExit("bench: the proxy did not start")
                yield url.partition("?")[0] + "?" + urlencode({"host": own})
            finally:
                proxy.terminate()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Write what is read, each piece so many seconds later; pieces are on the way at the same time."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    piece = b" "
    while piece:
        piece = b""
        with suppress(ConnectionError):
            piece = await reader.read(_CHUNK)
        pieces.put_nowait((loop.time() + seconds, piece))
    with suppress(ConnectionError):
        await delivery


async def _serve(server: str, own: str, seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(server)
        await asyncio.gather(_pass_on(reader, to_server, seconds), _pass_on(from_server, writer, seconds))

    async with await asyncio.start_unix_server(connected, own) as listening:
        print("ready", flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2], float(sys.argv[3]) / 2000))
