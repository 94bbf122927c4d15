"""Paths as somebody gives them, the folders that they need, and temporary folders."""

from __future__ import annotations

import logging
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import ending
from .errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


def given(path: Path) -> Path:
    """A path as it was given, with ``~`` expanded. Raises UsageError for one that leads nowhere on this machine."""
    try:
        path = path.expanduser()
        str(path.absolute()).encode()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the path {str(path)!r} is no text in UTF-8, as names of files have to be: rename it"
        ) from error
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"the path {path} cannot be used: {reason}; give another one") from error
    return path


def make(folder: Path) -> None:
    """Make a folder and those above it. One outside the working directory is told: its name may be a mistake.

    Raises OSError where it cannot be made.
    """
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if not folder.resolve().is_relative_to(Path.cwd()):
        log.warning("made the folder %s, which was not there", folder.resolve())


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder with a random name, for its owner only, which is removed with all in it after the block.

    Args:
        prefix: how its name begins.
        parent: where it lies; None: where the system keeps temporary files.

    Raises OSError where it cannot be made.
    """
    with ending.owned(lambda: Path(tempfile.mkdtemp(prefix=prefix, dir=parent)), _remove) as folder:
        yield folder


def _remove(folder: Path) -> None:
    # Where a signal ends the process, other threads go on meanwhile: of a folder of another name they know nothing.
    with suppress(OSError):
        folder = folder.rename(folder.with_name(f"{folder.name}-"))
    shutil.rmtree(folder, ignore_errors=True)
