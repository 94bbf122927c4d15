"""Temporary folders."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import ending

if TYPE_CHECKING:
    from collections.abc import Iterator


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
