"""The file with the number of a watch's process: one living watch has it, and it goes when that ends."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..base import ending
from ..base.errors import UsageError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What such a file holds: a number, or nothing where its process was killed before it wrote one.
_CONTENT = re.compile(rb"[0-9]{0,20}\n?")


@contextmanager
def pid_file(file: Path) -> Iterator[None]:
    """Hold the file to the end of the block, or of the process; one that a killed watch has left is taken over.

    Raises UsageError where a living process has it, or something else stands there, or it cannot be written.
    """
    try:
        with ending.owned(lambda: _taken(file), lambda handle: _given_back(file, handle)):
            yield
    except _UnusableError as error:
        raise UsageError(f"--pid-file {file}: {error}") from error


class _UnusableError(Exception):
    """Why a file cannot be taken."""


def _taken(file: Path) -> int:
    """The file, open and locked: the lock ends with the process, however that ends."""
    while True:
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except (OSError, ValueError) as error:
            raise _UnusableError(f"it cannot be written ({shortened(error)}): give another name") from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _UnusableError("it is not a plain file: give another name")
            content = os.read(handle, 64)
            if not _CONTENT.fullmatch(content):
                raise _UnusableError("it is a file of something else: give another name")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                number = content.decode().strip() or "that begins"
                raise _UnusableError(
                    f"a watch has it, process {number}: end that first, or give another name"
                ) from error
            # Whoever had it may have removed it since it was opened: then the lock is on a file without a name.
            if _is_at(file, handle):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
                return handle
        except (_UnusableError, OSError) as error:
            os.close(handle)
            if isinstance(error, _UnusableError):
                raise
            raise _UnusableError(f"it cannot be used ({shortened(error)}): give another name") from error
        os.close(handle)


def _given_back(file: Path, handle: int) -> None:
    if _is_at(file, handle):
        file.unlink()
    os.close(handle)


def _is_at(file: Path, handle: int) -> bool:
    """Whether the open file is the one of that name."""
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(handle))
