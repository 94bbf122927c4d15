"""``candlemill`` and ``python -m pipeline``: what an interrupt ends is said here, from the first import on."""

from __future__ import annotations

import sys

from pipeline import interrupts


def main() -> None:
    """Run the command line. It is imported here because that takes a while, in which an interrupt is told as later."""
    interrupts.listen()
    try:
        from pipeline import cli, heaps

        heaps.keep_few()
        cli.main()
    except Exception:
        if interrupts.came() is None:
            raise
    except interrupts.Interrupted:
        pass
    finally:
        interrupts.ignore()
    signal = interrupts.came()
    if signal is not None:
        sys.stderr.write(f"candlemill: {interrupts.last_words()}\n")
        sys.exit(interrupts.CODES[signal])


if __name__ == "__main__":
    main()
