"""The file ``.env``: variables for those that the environment does not have."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ..base.errors import UsageError
from ..base.files import read_text

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of the file, at most.
_MOST = 100_000


def load(file: Path) -> None:
    """Set what the file has and the environment has not; no file is no fault.

    Raises UsageError where it cannot be read or a line is none of a variable: what it was meant to set would be missed.
    """
    try:
        text = read_text(file, _MOST)
        # Imported where there is such a file.
        from dotenv import load_dotenv
        from dotenv.parser import parse_stream

        wrong = [binding.original.line for binding in parse_stream(io.StringIO(text)) if binding.error]
        if wrong:
            raise ValueError(f"line {wrong[0]} is not NAME=VALUE")
        load_dotenv(stream=io.StringIO(text))
    except (FileNotFoundError, IsADirectoryError):
        # A folder of that name is somebody's Python.
        return
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{file} cannot be used: {reason}; give one NAME=VALUE a line, in UTF-8") from error
