"""``candlemill`` and ``python -m pipeline``: a signal ends it in one line, from the first import on."""

from __future__ import annotations

import os
import sys
import threading

from candlemill.pipeline.base import ending


def main() -> None:
    """Run the command line, and end with its exit code."""
    try:
        _run()
    except SystemExit as end:
        if isinstance(end.code, int) and any(thread.daemon for thread in threading.enumerate()):
            # The interpreter cannot take itself apart under a thread that goes on reading in a library of C++: that
            # kills the process, whose exit code is then lost.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def _run() -> None:
    ending.listen()
    try:
        # Imported here because that takes a while, in which a signal is heard already.
        from candlemill.pipeline.base import heaps
        from candlemill.pipeline.commands import app

        heaps.keep_few()
        app.main()
    finally:
        ending.finish()


if __name__ == "__main__":
    main()
