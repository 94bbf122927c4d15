"""What can go wrong, with the exit code of each kind. Messages say what failed, on what, and what to do."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from .shown import scrubbed


class Exit(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    #: Of ``parity``: the databases differ. Of a run with ``--strict``: an indicator fails everywhere.
    DIFFERENT = 1
    USAGE = 2
    SOURCE = 3
    SINK = 4
    NO_CANDLES = 5


def one_line(text: object) -> str:
    """The text of an error without passwords and line breaks, which is how it is told."""
    return " ".join(scrubbed(str(text)).split())


def shortened(text: object, most: int = 300) -> str:
    """The text of an error that may quote anything, in one line of some length."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 2]} …"


class CandlemillError(Exception):
    """An error whose one-line message is meant for the user, and has no password."""

    exit_code: ClassVar[Exit] = Exit.USAGE

    def __init__(self, message: str) -> None:
        super().__init__(scrubbed(message))


class UsageError(CandlemillError):
    """Wrong usage or configuration."""


class SourceError(CandlemillError):
    """The source could not be read."""

    exit_code = Exit.SOURCE


class SinkError(CandlemillError):
    """The results could not be written; nothing was."""

    exit_code = Exit.SINK


class NoCandlesError(CandlemillError):
    """There are no candles for what was asked."""

    exit_code = Exit.NO_CANDLES


class FailingError(CandlemillError):
    """Results were written, and lack an indicator altogether."""

    exit_code = Exit.DIFFERENT
