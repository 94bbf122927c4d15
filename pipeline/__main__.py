"""``candlemill`` and ``python -m pipeline``: a signal ends it in one line, from the first import on."""

from __future__ import annotations

import os
import sys

from candlemill.pipeline.base import streams


class _Unwanted:
    """Keeps out what libraries import where it is installed, and no command needs: it takes longer than a run."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        """Raise ModuleNotFoundError for those, and leave all others to the finders after this one."""
        if name in ("pandas", "polars"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def main() -> None:
    """Run the command line, and end with its exit code."""
    # One thread for products of matrices: the others of BLAS wait in a loop, for a third of a run's processor time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow takes memory from the C library, as NumPy does: a heap of its own keeps what it has freed, 30 MiB of a run
    # over 200 symbols.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.meta_path.insert(0, _Unwanted)
    streams.set_up()
    try:
        if "_CANDLEMILL_COMPLETE" in os.environ:
            from candlemill.pipeline.commands import completion

            completion.main(os.environ)
        _run()
    except SystemExit as end:
        if isinstance(end.code, int):
            # Everything is written and closed. To take the interpreter apart takes a quarter of a second, and where a
            # thread goes on reading in a library of C++ it kills the process, whose exit code is then lost.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def _run() -> None:
    from candlemill.pipeline.base import ending, heaps
    from candlemill.pipeline.base.shortage import shortage

    try:
        ending.listen()
        heaps.collect_seldom()
        heaps.keep_few()
        # Imported here because that takes a while, in which a signal is heard already.
        from candlemill.pipeline.commands import entry

        entry.main()
    except Exception as error:
        # What the command line cannot tell, because it could not be loaded.
        found = shortage(error)
        if found is None:
            raise
        sys.stderr.write(f"candlemill: {found}\n")
        sys.exit(found.exit_code)
    finally:
        ending.finish()


if __name__ == "__main__":
    main()
