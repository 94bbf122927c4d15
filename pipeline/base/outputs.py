"""Files that a user names for what a command draws, captures or exports: none takes the place of something else."""

from __future__ import annotations

import os
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING, BinaryIO

from . import ending, folders
from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: How a file of each kind is known by its first bytes.
_KINDS: dict[str, Callable[[bytes], bool]] = {
    "Parquet file": lambda head: head.startswith(b"PAR1"),
    ".png": lambda head: head.startswith(b"\x89PNG"),
    ".svg": lambda head: b"<svg" in head,
    ".html": lambda head: head.lstrip().lower().startswith(b"<!doctype html"),
    # Not at its start: a capture that was ended well is compressed, behind a head of the compression's own.
    "capture of memray": lambda head: b"memray" in head[:64],
    "list of memray": lambda head: b"Total allocations:" in head[:64],
}
_HEAD = 4096


def output(path: Path, kind: str, option: str = "") -> Path:
    """The file that an output goes into, behind links; they stay.

    Args:
        path: as the user gave it.
        kind: of the output, a key of ``_KINDS``.
        option: that the user gave it with, for errors.

    Raises:
        UsageError: something else than a file stands there, or a file of another kind.
        OSError: what stands there cannot be read.
    """
    name, file = f"{option} {path}".lstrip(), path.resolve()
    if not file.exists():
        return file
    if not file.is_file():
        raise UsageError(f"{name} is no regular file: give the name of a new one")
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if head and not _KINDS[kind](head):
        raise UsageError(f"{name} is there already and is no {kind}: give another name, or remove it")
    return file


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A stream into a draft that takes the place of a file after the block: it is there whole, or as it was.

    Raises OSError where the draft cannot be made or put into its place.
    """

    def begin() -> tuple[int, Path]:
        folders.make(file.parent)
        draft = file.with_name(f".{file.name}-{token_hex(4)}")
        # Not by tempfile: the file is to stay, with the rights that the user's mask gives.
        return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), draft

    with ending.owned(begin, lambda made: made[1].unlink(missing_ok=True)) as (handle, draft):
        with os.fdopen(handle, "wb") as stream:
            yield stream
        draft.replace(file)
