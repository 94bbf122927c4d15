"""The end of the process when somebody asks for it: Ctrl-C (SIGINT), SIGTERM, and a terminal that goes (SIGHUP).

A signal writes its number into a pipe and does nothing else. One thread waits at the pipe. It releases what must not
stay behind (a draft's folder, a server, a child), says the last line and ends the process, wherever the other threads
are at that time. So no exception comes between two steps of a program. Transactions, locks and connections end with the
process, as they do when it is killed.

What must not be cut in two stands in ``postponed``, what must not stay behind in ``owned``.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from . import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Resource = TypeVar("Resource")

#: By signal, what a program's end by it looks like to a shell, and the word for it.
_ENDS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGHUP: (129, "hung up"),
    signal.SIGTERM: (143, "terminated"),
}
#: What is left of a command that has written nothing, or not yet.
_NOTHING = "nothing was written"

#: Seconds that a signal may take from the system to the pipe.
_ON_ITS_WAY = 0.1

#: Held by whoever postpones the end, and by the end itself.
_lock = threading.Lock()
#: What the end releases, the newest first.
_releases: list[Callable[[], object]] = []


class _State:
    """The one state of the process, as signals belong to the process."""

    left = _NOTHING
    reading = -1
    listener: threading.Thread | None = None


def listen() -> None:
    """Let the signals end the process from here on. For the main thread.

    Raises RuntimeError where no thread can be started.
    """
    _State.reading, writing = os.pipe()
    for side in (_State.reading, writing):
        os.set_blocking(side, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # Kept before it starts, since it ends where there is none; one that cannot start is none.
    _State.listener = listener = threading.Thread(target=_wait, name="ending", daemon=True)
    try:
        listener.start()
    except RuntimeError:
        _State.listener = None
        raise
    for number in _ENDS:
        # What `nohup` starts goes on without its terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def finish() -> None:
    """Let signals change nothing any more, as the exit code stands. Does not return where one came before."""
    listener = _State.listener
    if listener is None:
        return
    with _lock:
        # Ignored, and not only unheard: while the interpreter finishes, a signal that has a handler ends it.
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)
        _end_if_asked()
        _State.listener = None
        os.close(signal.set_wakeup_fd(-1))
    listener.join()


def leaves(what: str) -> None:
    """Say what the end leaves from here on."""
    _State.left = what


def wrote() -> bool:
    """Whether the command has written something, or says what it leaves instead."""
    return _State.left != _NOTHING


@contextmanager
def postponed() -> Iterator[None]:
    """A block that no signal ends, nor a child that it starts; one that comes meanwhile ends the process after it.

    There is no other one within it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    with _lock:
        try:
            yield
        except BaseException:
            # Perhaps because of a signal, which the thread that the system gave it may have yet to put into the pipe.
            select.select([_State.reading] if _State.listener else [], [], [], _ON_ITS_WAY)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            _end_if_asked()


def forget() -> bool:
    """At the end of ``postponed``: drop the signals that came meanwhile. Returns whether there were any."""
    return _asked() is not None


@contextmanager
def owned(acquire: Callable[[], Resource], release: Callable[[Resource], object]) -> Iterator[Resource]:
    """Something that is released after the block, or by the end of the process within it. Both are ``postponed``."""
    with postponed():
        resource = acquire()
        at_the_end = partial(release, resource)
        _releases.append(at_the_end)
    try:
        yield resource
    finally:
        with postponed():
            _releases.remove(at_the_end)
            release(resource)


def _wait() -> None:
    while _State.listener:
        select.select([_State.reading], [], [])
        # Whoever has the lock may be waiting for a reader of the log.
        streams.hurry()
        with _lock:
            _end_if_asked()


def _asked() -> int | None:
    """The first signal in the pipe, which is empty afterwards."""
    try:
        numbers = os.read(_State.reading, 1024) if _State.listener else b""
    except BlockingIOError:
        return None
    return next((number for number in numbers if number in _ENDS), None)


def _end_if_asked() -> None:
    number = _asked()
    if number is None:
        return
    code, word = _ENDS[signal.Signals(number)]
    try:
        from . import logs

        logs.fall_silent()
        # A terminal's Ctrl-C goes to all processes: a second one does not end those that stop a server.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        for release in reversed(_releases):
            try:
                release()
            except Exception as error:  # whatever it is, the others are released, too
                logs.say(f"something could not be removed or stopped: {error}")
        logs.say_last(f"{word}, {_State.left}", code)
    finally:
        os._exit(code)
