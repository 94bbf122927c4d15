"""How commands print: no password, no markup, and nothing that a terminal obeys, whatever names and errors hold."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..base import logs
from ..base.errors import UsageError
from ..base.shown import as_json, shown, visible

if TYPE_CHECKING:
    from rich.text import Text

    from ..options import Options


def say(line: str, err: bool = False) -> None:
    """Print a line, on standard output or on standard error."""
    print(shown(line), file=sys.stderr if err else sys.stdout, flush=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON on standard output."""
    print(as_json(value, indent), flush=True)


def cells(*texts: str) -> list[Text]:
    """Cells of a row of a table."""
    from rich.text import Text

    return [Text(visible(text)) for text in texts]


def set_up_log(asked: Options) -> None:
    """Send the log to standard error, and to a file. Raises UsageError for an unknown level, or no such file."""
    level = asked.log_level.lower()
    if level not in logs.LEVELS:
        raise UsageError(f"--log-level {asked.log_level!r} is not one of {', '.join(logs.LEVELS)}")
    try:
        logs.set_up(level, asked.log_json, asked.quiet, asked.log_file)
    except OSError as error:
        raise UsageError(
            f"--log-file {asked.log_file} cannot be written: {error.strerror}; give a file in a folder that is there"
        ) from error
