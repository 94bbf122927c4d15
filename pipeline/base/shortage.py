"""Memory and threads that the machine does not give."""

from __future__ import annotations

import errno
import re
import resource

from .errors import SinkError, one_line

#: What the errors of Python say that have no class of their own, and those of its loader.
_NO_THREAD = "can't start new thread"
_SIGNS = (_NO_THREAD, "failed to map segment", "cannot allocate memory")
#: What Python says of a function in C that failed and did not say why.
_WITHOUT_ERROR = re.compile("without (setting an|raising an)? ?exception")
#: Of DuckDB, which is not imported for its name, and what its other errors say that come of this one.
_OUT_OF_MEMORY, _OF_MEMORY = "OutOfMemoryException", "Out of Memory Error"
#: Bytes of addresses below which Python cannot load ConnectorX, DuckDB, NumPy and Arrow.
_LIBRARIES = 512 << 20
#: Characters of what a library says of it.
_LONGEST = 160


class ShortageError(SinkError):
    """The machine has no memory or no thread for the work; nothing was written."""


def expect_room() -> None:
    """Raise ShortageError where this process may not have the memory that the libraries of a run are mapped to.

    Python itself would run out of it while it imports them, where no error can be told in one line.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= most < _LIBRARIES:
        raise ShortageError(
            f"there is not enough memory ({most >> 20} MB may be used): raise the limit (ulimit -v) to 2 GB or more"
        )


def shortage(error: BaseException) -> ShortageError | None:
    """The error to tell where one comes of a lack of memory or of threads; None where it does not."""
    if isinstance(error, ShortageError):
        return error
    if isinstance(error, RuntimeError | ImportError | OSError):
        lacking = any(sign in str(error).lower() for sign in _SIGNS) or getattr(error, "errno", None) == errno.ENOMEM
    elif isinstance(error, SystemError):
        # Python could not even make a MemoryError.
        lacking = _WITHOUT_ERROR.search(str(error)) is not None
    else:
        lacking = isinstance(error, MemoryError) or type(error).__name__ == _OUT_OF_MEMORY or _OF_MEMORY in str(error)
    if not lacking:
        return None
    if _NO_THREAD in str(error):
        return ShortageError("no thread can be started: raise the limit of processes and threads (ulimit -u)")
    why = f" ({one_line(error)[:_LONGEST]})" if str(error) else ""
    return ShortageError(f"there is not enough memory{why}: raise the limit (ulimit -v), or ask for less at a time")


def pass_on(error: BaseException) -> None:
    """Raise the error of a shortage, which is no fault of whatever met it; return where it is another error."""
    found = shortage(error)
    if found:
        raise found from error
