"""The compiler of lanes: whether it is there, where its work is kept, and when it pays.

What it makes depends on the version of the code, of the compiler, and on the processor. So each combination has a
folder of its own, and whatever is in one is good for whoever finds it: processes that compile the same at once write
the same, each file under a name of its own that is renamed last.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import stat
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...indicators.kernels import compiled, loops
from .. import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

#: Seconds: to import the compiler and load what is kept; to compile everything; to compute a window of an indicator by
#: the definition. They need not be exact: they decide which of two ways to the same values is taken.
_LOADING = 1.5
_COMPILING = 20.0
_BY_DEFINITION = 15e-6
#: Says that a process has compiled, and kept it.
_KEPT = "kept"


def lanes_pay(windows: int, indicators: int) -> bool:
    """Whether to take compiled lanes for so many windows of so many indicators; if so, their work is kept.

    They pay where the definition would take longer than the compiler takes to be ready. Without the compiler it is
    always the definition, and a line of the log says so, once.
    """
    if not _there():
        return False
    folder = _folder()
    kept = folder is not None and any(folder.rglob("*.nbi"))
    return windows * indicators * _BY_DEFINITION > (_LOADING if kept else _COMPILING)


def keep() -> None:
    """Keep what this process compiles, and take what others have kept; ``lanes_pay`` does so on its way."""
    if _there():
        _folder()


@contextmanager
def first_of_machine(lanes: bool) -> Iterator[None]:
    """A block that compiles: of all processes of this machine the first goes alone, and the others find what it kept.

    Args:
        lanes: whether compiled lanes are taken at all.
    """
    folder = _folder() if lanes and _there() else None
    if folder is None or (folder / _KEPT).exists():
        yield
        return
    # Released by the end of the process, too.
    with (folder / "first").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if (folder / _KEPT).exists():
            fcntl.flock(handle, fcntl.LOCK_UN)
        yield
        (folder / _KEPT).touch()


@cache
def _there() -> bool:
    """Whether the compiler is installed."""
    found = find_spec("numba") is not None
    if not found:
        log.warning("history is computed window by window, some 20 times slower: pip install 'candlemill[history]'")
    return found


@cache
def _folder() -> Path | None:
    """The folder for what is compiled, made known to the kernels; None where none can be written."""
    name = f"{__version__}-{_digest()}"
    for place, trusted in _places():
        folder = place / name
        if _usable(place, trusted) and _usable(folder, trusted):
            compiled.keep_in(folder)
            return folder
    log.warning("no folder for compiled code can be written, so every process compiles: set NUMBA_CACHE_DIR to one")
    return None


def _digest() -> str:
    """What the compiled code depends on, as a short text."""
    from llvmlite import binding

    sources = [Path(compiled.__file__), *sorted(Path(loops.__file__).parent.glob("*.py"))]
    parts = [
        *(file.read_bytes() for file in sources),
        version("numba").encode(),
        version("llvmlite").encode(),
        sys.version.encode(),
        binding.get_host_cpu_name().encode(),
        binding.get_host_cpu_features().flatten().encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _places() -> Iterator[tuple[Path, bool]]:
    """Where folders may be kept, the best first, and whether one is taken as it is, because somebody named it."""
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(given), True
    home = os.environ.get("XDG_CACHE_HOME")
    yield (Path(home) if home else Path.home() / ".cache") / "candlemill", False
    yield Path(tempfile.gettempdir()) / f"candlemill-{os.getuid()}", False


def _usable(folder: Path, trusted: bool) -> bool:
    """Whether the folder is there, or can be made, and can be written, by nobody else: what is in it is executed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not trusted and (not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
