"""The standard streams, as whoever starts the program left them: closed, full, without a reader, in any encoding.

What cannot be written to one is dropped, and the first error kept: the work goes on, and ``commands.entry`` says in the
end what it means for the exit code. So no write to them ever fails, in whatever library it is.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TextIO

_ESCAPED = "candlemill.escaped"
#: Seconds between two looks for the end while a reader takes nothing, and those that it then still has.
_TURN, _GRACE = 0.2, 0.5


class _State:
    """The one state of the process, as the streams belong to the process."""

    output: _Unfailing | None = None
    #: Moment of the monotonic clock after which nobody is waited for.
    until: float | None = None


class _Unfailing(io.FileIO):
    """A stream that drops what cannot be written, and everything after it."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "wb", closefd=False)
        self.lost: OSError | None = None

    def write(self, data: Any) -> int:
        """Write some of the data; the number of bytes that are done with."""
        while self.lost is None:
            try:
                # So much is taken at once where there is room at all: a write waits for nobody.
                if self._has_room() and (written := super().write(memoryview(data)[: select.PIPE_BUF])) is not None:
                    return written
            except OSError as error:
                self.lost = error
        return len(data)

    def _has_room(self) -> bool:
        """Wait a little for room. Raises TimeoutError where there is none and the process is to end."""
        if select.select([], [self], [], _TURN)[1]:
            return True
        if _State.until is not None and time.monotonic() > _State.until:
            raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")
        return False


def set_up() -> None:
    """Take the streams over. Before anything else is opened: it would get the number of a stream that is closed."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    codecs.register_error(_ESCAPED, _escaped)
    if sys.stdin is None:
        sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    _State.output = _Unfailing(1)
    sys.stdout = sys.__stdout__ = _text(_State.output, sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(_Unfailing(2), sys.stderr, at_once=True)  # type: ignore[misc]


def hurry() -> None:
    """Wait for no reader any more: the process is to end."""
    if _State.until is None:
        _State.until = time.monotonic() + _GRACE


def lost() -> OSError | None:
    """Why standard output, or the end of it, was lost; None where it was not."""
    return _State.output.lost if _State.output else None


def _text(stream: _Unfailing, before: TextIO | None, at_once: bool = False) -> io.TextIOWrapper:
    encoding = before.encoding if before else "utf-8"
    lines = at_once or stream.isatty()
    through = isinstance(before, io.TextIOWrapper) and before.write_through
    return io.TextIOWrapper(io.BufferedWriter(stream), encoding, _ESCAPED, line_buffering=lines, write_through=through)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding lacks, as JSON writes it: what is JSON stays JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4)), error.end
