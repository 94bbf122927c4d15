"""``candlemill`` and ``python -m pipeline``: what an interrupt ends is said here, from the first import on."""

from __future__ import annotations

import os
import sys
import threading

from candlemill.pipeline.base import interrupts


def main() -> None:
    """Run the command line, and end with its exit code."""
    try:
        _run()
    except SystemExit as end:
        if isinstance(end.code, int) and not _ends_well():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def _ends_well() -> bool:
    """Whether the interpreter can take itself apart; where it cannot, that kills the process, whose code is then lost.

    It cannot under a thread that reads, as that is not to be interrupted and goes on in a library of C++, nor with a
    library whose import was interrupted half-way.
    """
    return interrupts.came() is None and not any(thread.daemon for thread in threading.enumerate())


def _run() -> None:
    # The command line is imported here because that takes a while, in which an interrupt is told as later.
    interrupts.listen()
    try:
        from candlemill.pipeline.base import heaps
        from candlemill.pipeline.commands import app

        heaps.keep_few()
        app.main()
    except Exception:
        if interrupts.came() is None:
            raise
    except interrupts.Interrupted:
        pass
    finally:
        interrupts.ignore()
    signal = interrupts.came()
    if signal is not None:
        from candlemill.pipeline.base import logs

        logs.say_last(interrupts.last_words())
        sys.exit(interrupts.CODES[signal])


if __name__ == "__main__":
    main()
