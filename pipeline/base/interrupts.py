"""Ctrl-C and SIGTERM: a run ends before anything is committed, or after everything is.

The first of them counts, and is noted as well as raised: whoever asks for signals inside a library may get another
exception for it (DuckDB makes a RuntimeError of it, an import an ImportError), and whoever catches every exception must
not take it for a failure of his own. Later ones change nothing: the end is under way already.

It is raised a moment later where raising does harm: in functions that say so, and in those parts of Python that take
something in steps which an exception comes between, and would never give it back: the import system, of which nobody
would ever get the lock again, and the blocks of contextlib. It is raised once more where it was raised for nobody, in a
finalizer or the callback of a weak reference.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from sys import UnraisableHookArgs
    from types import CodeType, FrameType

P = ParamSpec("P")
T = TypeVar("T")

#: What a program's end by each of these signals looks like to a shell.
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}

#: What an interrupt leaves where nobody says otherwise.
NOTHING = "nothing was written"

#: How the files of Python's import system and of contextlib begin in a traceback.
_IN_STEPS = ("<frozen importlib.", contextmanager.__code__.co_filename)

#: What runs whole.
_UNDIVIDED: set[CodeType] = set()

#: Seconds until an interrupt that could not be raised is tried again.
_LATER = 0.01


class Interrupted(BaseException):
    """Somebody wants this process to end; no failure, so nobody catches it by accident."""


class _State:
    """The one state of the process, as signals belong to the process."""

    came: signal.Signals | None = None
    holders = 0
    left = NOTHING


def listen() -> None:
    """Raise Interrupted in the main thread when one of the signals comes."""
    sys.unraisablehook = _on_unraisable
    signal.signal(signal.SIGALRM, _on_alarm)
    for number in CODES:
        signal.signal(number, _on_signal)


def ignore() -> None:
    """Let signals change nothing any more: all is done, and the interpreter, which would give in to one, is ending."""
    for number in (*CODES, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _State.came is None:
        _State.came = signal.Signals(number)
        _raise_in(frame)


def _on_alarm(_: int, frame: FrameType | None) -> None:
    _raise_in(frame)


def _on_unraisable(lost: UnraisableHookArgs) -> None:
    if issubclass(lost.exc_type, Interrupted):
        _try_again(after=_LATER)
    else:
        sys.__unraisablehook__(lost)


def _raise_in(frame: FrameType | None) -> None:
    if _State.holders:
        _try_again(after=0)
    elif _harmful(frame):
        _try_again(after=_LATER)
    else:
        check()


def _harmful(frame: FrameType | None) -> bool:
    if frame is not None and frame.f_code.co_filename.startswith(_IN_STEPS):
        return True
    while frame is not None:
        if frame.f_code in _UNDIVIDED:
            return True
        frame = frame.f_back
    return False


def _try_again(after: float) -> None:
    """Have the alarm come after so many seconds, and again and again; 0: no more.

    Once is not enough: if the kernel gives it to another thread, ours does not hear of it while it waits.
    """
    signal.setitimer(signal.ITIMER_REAL, after, after)


def came() -> signal.Signals | None:
    """The signal that asked this process to end, if one did."""
    return _State.came


def check() -> None:
    """Raise Interrupted if a signal came, however it was told and whether or not it is held back."""
    if _State.came is not None:
        _try_again(after=0)
        raise Interrupted


def leaves(what: str) -> None:
    """Say what an interrupt leaves from here on."""
    _State.left = what


def last_words() -> str:
    """The line that tells of the interrupt that came."""
    word = "interrupted" if _State.came == signal.SIGINT else "terminated"
    return f"{word}, {_State.left}"


def undivided(work: Callable[P, T]) -> Callable[P, T]:
    """Have a function run whole: an interrupt that comes from its call to its return is raised after it.

    For whatever takes something and notes that it has it, or gives it back: a folder, a thread that uses a connection.
    A block inside the function would come too late, as an interrupt can be raised before its first line.
    """
    _UNDIVIDED.add(work.__code__)
    return work


@contextmanager
def held() -> Iterator[None]:
    """A block that no interrupt breaks; one that comes is noted, for ``check``."""
    _State.holders += 1
    try:
        yield
    finally:
        _State.holders -= 1
