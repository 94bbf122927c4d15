"""What goes wrong for a while, told now and then."""

from __future__ import annotations

import logging
import time
from threading import Lock

log = logging.getLogger(__name__)

#: Seconds in which the same trouble is told once.
_QUIET = 60.0


class Troubles:
    """Tells each kind of trouble once a minute, however often it comes; for any thread."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._lock = Lock()

    def tell(self, kind: str, message: str, level: int = logging.ERROR) -> None:
        """Say it, if the last time that this kind was told is long ago."""
        with self._lock:
            now = time.monotonic()
            if now - self._told.get(kind, -_QUIET) < _QUIET:
                return
            self._told[kind] = now
        log.log(level, "%s", message)

    def forget(self, *kinds: str) -> None:
        """Tell these at once when they come again."""
        with self._lock:
            for kind in kinds:
                self._told.pop(kind, None)
