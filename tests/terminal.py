"""A terminal of some width, and what somebody sees on it."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROWS = 50
#: Movements of the cursor, and other codes; text; and single characters that move it.
_TOKEN = re.compile(r"\x1b\[(?P<numbers>[?0-9;]*)(?P<what>[A-Za-z])|(?P<one>[\r\n])|(?P<text>[^\x1b\r\n]+)")


class Terminal:
    """A pseudo-terminal; what is written to ``writing`` appears on its screen."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._reading, self.writing = os.openpty()
        fcntl.ioctl(self.writing, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            while part := os.read(self._reading, 1 << 16):
                self._parts.append(part)
        except OSError:
            # How the end of a pseudo-terminal looks like on Linux.
            return

    def close(self) -> None:
        os.close(self.writing)
        self._thread.join()
        os.close(self._reading)

    @property
    def written(self) -> str:
        return b"".join(self._parts).decode()

    def screen(self) -> list[str]:
        """The lines that are seen in the end, of a screen that is high enough for all."""
        lines, row, column = [""], 0, 0
        for token in _TOKEN.finditer(self.written):
            if token["one"] == "\r":
                column = 0
            elif token["one"] == "\n":
                row, column = row + 1, 0
            elif token["what"] == "A":
                row = max(0, row - int(token["numbers"] or 1))
            elif token["what"] == "K":
                lines[row] = ""
            else:
                for character in token["text"] or "":
                    if column == self.columns:
                        row, column = row + 1, 0
                    lines += [""] * (row + 1 - len(lines))
                    line = lines[row].ljust(column)
                    lines[row] = line[:column] + character + line[column + 1 :]
                    column += 1
            lines += [""] * (row + 1 - len(lines))
        return [line.rstrip() for line in lines]


@contextmanager
def terminal(columns: int) -> Iterator[Terminal]:
    """A terminal that is closed after the block, in which nobody keeps it open; it can be looked at after that."""
    opened = Terminal(columns)
    try:
        yield opened
    finally:
        opened.close()
