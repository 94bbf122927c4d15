"""Where the files of a backfill are: in a folder that all who compute can reach, or in a bucket of an object store.

A name is relative, with slashes. A file appears whole or not at all: a folder gets it by a rename once it is on disk, a
bucket by one request. What is written in pieces is a draft until then, in a folder under a name of its own attempt, for
a bucket in a temporary folder of the process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from pyarrow import fs

from ..base import ending, folders
from ..base.errors import UsageError
from ..base.shown import keep_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

_DRAFT = re.compile(r"\.[\w.-]+\.[0-9a-f]{16}\.tmp")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w.=/-]*", re.ASCII)
#: What the URL of a bucket can say of where it is.
_SAID = ("endpoint_override", "region", "scheme")
#: Variables that the library for S3 takes credentials from.
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
#: Seconds to wait for a connection, and for an answer.
_CONNECT, _ANSWER = 10, 60


@dataclass(frozen=True)
class Entry:
    """A file: its name in its folder, its bytes, and when it was written, seconds since the epoch."""

    name: str
    size: int
    written: float


class Store(Protocol):
    """Files by their names. All methods raise OSError where the store cannot be reached."""

    @property
    def url(self) -> str:
        """What ``opened`` makes the same store from, on another machine, too; without credentials."""

    @property
    def lag(self) -> int:
        """How many requests are worth to be made side by side."""

    def taken(self, places: Iterable[str]) -> AbstractContextManager[None]:
        """Have the store, and leave no draft of an attempt in some folders of it, by name.

        Raises UsageError where another process has it, if the store can tell.
        """

    def free(self) -> int | None:
        """Bytes that there is room for; None: nobody knows."""

    def entries(self, place: str = "") -> Iterator[Entry]:
        """The files in a folder of it, drafts left out; none where there is no such folder."""

    def foreign(self) -> bool:
        """Whether anything is in it, drafts left out."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None: it is not there."""

    def open(self, name: str) -> pa.NativeFile:
        """A file to read parts of. Raises FileNotFoundError."""

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, whole."""

    def draft(self, name: str) -> Path:
        """Where to write a file that gets a name later."""

    def publish(self, drafts: Mapping[Path, str]) -> None:
        """Give drafts their names, once all are written."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


def opened(output: str) -> Store:
    """The store that a path or the URL of a bucket means. Raises UsageError."""
    if "://" not in output:
        return Folder(folders.given(Path(output)))
    return Bucket.of_url(output)


@dataclass(frozen=True)
class Folder:
    """A folder of a file system, which other machines may see, too."""

    root: Path
    lag = 1

    def __str__(self) -> str:
        return str(self.root)

    @property
    def url(self) -> str:
        """Its path, from the root of the file system."""
        return str(self.root.absolute())

    @contextmanager
    def taken(self, places: Iterable[str]) -> Iterator[None]:
        """See ``Store``."""
        places = list(places)
        with ending.owned(self._locked, lambda handle: self._left(handle, places)):
            self._sweep(places)
            yield

    def free(self) -> int:
        """See ``Store``."""
        return shutil.disk_usage(self.root).free

    def entries(self, place: str = "") -> Iterator[Entry]:
        """See ``Store``."""
        try:
            found = list(os.scandir(self.root / place))
        except (FileNotFoundError, NotADirectoryError):
            return
        for file in found:
            if not _DRAFT.fullmatch(file.name) and file.is_file():
                status = file.stat()
                yield Entry(file.name, status.st_size, status.st_mtime)

    def foreign(self) -> bool:
        """See ``Store``."""
        return self.root.is_dir() and not all(_DRAFT.fullmatch(file.name) for file in self.root.iterdir())

    def read(self, name: str) -> bytes | None:
        """See ``Store``."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def open(self, name: str) -> pa.NativeFile:
        """See ``Store``."""
        return pa.OSFile(str(self.root / name))

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        draft = self.draft(name)
        try:
            draft.write_bytes(content)
            self.publish({draft: name})
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def draft(self, name: str) -> Path:
        """See ``Store``. The folder that the file is to be in is made."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.with_name(f".{file.stem}.{secrets.token_hex(8)}.tmp")

    def publish(self, drafts: Mapping[Path, str]) -> None:
        """See ``Store``."""
        for draft in drafts:
            _settle(draft)
        for draft, name in drafts.items():
            draft.replace(self.root / name)
        for place in {(self.root / name).parent for name in drafts.values()}:
            _settle(place)

    def remove(self, name: str) -> None:
        """See ``Store``."""
        (self.root / name).unlink(missing_ok=True)

    def _locked(self) -> int:
        folders.make(self.root)
        handle = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise UsageError(f"another backfill writes into {self}: wait for it, or give another --output") from error
        return handle

    def _left(self, handle: int, places: list[str]) -> None:
        try:
            self._sweep(places)
        finally:
            os.close(handle)

    def _sweep(self, places: list[str]) -> None:
        for place in [self.root / name for name in places]:
            for file in place.iterdir() if place.is_dir() else ():
                if _DRAFT.fullmatch(file.name):
                    file.unlink(missing_ok=True)


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket of an object store that speaks S3.

    It has no locks. Two backfills of the same request in one do work twice, and each writes what the other does.

    Attributes:
        bucket: its name.
        prefix: of all names, without slashes around it.
        said: where the bucket is: ``endpoint_override``, ``region``, ``scheme``, as far as they were given.
    """

    bucket: str
    prefix: str
    said: tuple[tuple[str, str], ...]
    lag = 32

    @classmethod
    def of_url(cls, url: str) -> Bucket:
        """The one that a URL means. Raises UsageError, which does not repeat what may be a credential."""
        parts = urlsplit(url)
        if parts.scheme != "s3":
            raise UsageError(f"--output {parts.scheme}://… is no store that can be written: give a folder or s3://…")
        if "@" in url:
            raise UsageError(
                "--output has credentials in it: give s3://BUCKET/PREFIX, and them in AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or in ~/.aws/credentials"
            )
        said = parse_qsl(parts.query, keep_blank_values=True)
        if unknown := [name for name, _ in said if name not in _SAID]:
            raise UsageError(f"--output says {unknown[0]!r:.40}, which is none of {', '.join(_SAID)}")
        prefix = parts.path.strip("/")
        if not _BUCKET.fullmatch(parts.netloc) or not _PREFIX.fullmatch(prefix) or parts.fragment:
            raise UsageError(
                "--output names no bucket and prefix that can be used: give s3://BUCKET/PREFIX of letters, digits and "
                "any of _.=-"
            )
        return cls(parts.netloc, prefix, tuple(sorted(said)))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def url(self) -> str:
        """See ``Store``."""
        query = "&".join(f"{name}={value}" for name, value in self.said)
        return f"{self}?{query}" if query else str(self)

    @contextmanager
    def taken(self, places: Iterable[str]) -> Iterator[None]:  # noqa: ARG002 - drafts are elsewhere
        """See ``Store``."""
        # Made here, before there is anything to lose.
        _ = self._files
        yield

    def free(self) -> None:
        """See ``Store``."""

    def entries(self, place: str = "") -> Iterator[Entry]:
        """See ``Store``."""
        asked = fs.FileSelector(self._key(place), allow_not_found=True)
        for found in self._files.get_file_info(asked):
            if found.type == fs.FileType.File:
                yield Entry(found.base_name, found.size, found.mtime.timestamp())

    def foreign(self) -> bool:
        """See ``Store``."""
        return bool(self._files.get_file_info(fs.FileSelector(self._key(""), allow_not_found=True)))

    def read(self, name: str) -> bytes | None:
        """See ``Store``."""
        try:
            with self._files.open_input_file(self._key(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def open(self, name: str) -> pa.NativeFile:
        """See ``Store``."""
        return self._files.open_input_file(self._key(name))

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``. A large file is sent in parts, which become the file by the last request."""
        stream = self._files.open_output_stream(self._key(name))
        stream.write(content)
        # Not by ``with``, which would close it after an error, too: then it would be put in its place.
        stream.close()

    def draft(self, name: str) -> Path:
        """See ``Store``."""
        return self._drafts / f"{Path(name).stem}.{secrets.token_hex(8)}.tmp"

    def publish(self, drafts: Mapping[Path, str]) -> None:
        """See ``Store``."""
        for draft, name in drafts.items():
            self.write(name, draft.read_bytes())
        for draft in drafts:
            draft.unlink()

    def remove(self, name: str) -> None:
        """See ``Store``."""
        try:
            self._files.delete_file(self._key(name))
        except FileNotFoundError:
            return

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self.bucket, self.prefix, name) if part)

    @cached_property
    def _files(self) -> fs.S3FileSystem:
        for variable in _CREDENTIALS:
            keep_secret(os.environ.get(variable))
        # A file that is no larger than a part is one request; there is nothing to be done meanwhile.
        return fs.S3FileSystem(
            **dict(self.said),
            allow_delayed_open=True,
            background_writes=False,
            connect_timeout=_CONNECT,
            request_timeout=_ANSWER,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=5),
        )

    @cached_property
    def _drafts(self) -> Path:
        folder = tempfile.mkdtemp(prefix="candlemill-backfill-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


def _settle(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise OSError(errno.ENOENT, "another backfill has removed it", str(path)) from error
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
