"""Notices of a trigger on candles_1m: a connection of its own that waits for them and wakes the watch."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING

import psycopg

from ..base.errors import CandlemillError, SourceError, shortened
from ..source.session import pools_sessions, session
from ..source.urls import redacted
from .troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

CHANNEL = "candle_1m_update"
_AGAIN_SECONDS = 5.0
#: How often the end is looked for while no notice comes.
_TURN_SECONDS = 0.5


class Listener:
    """Listens in a thread, from its start to its end; a lost connection is made anew."""

    def __init__(self, url: str, exchange: str, wake: Callable[[], None]) -> None:
        self._url, self._exchange, self._wake = url, exchange, wake
        self._troubles = Troubles()
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except CandlemillError as error:
                log.warning("%s", error)
                return
            except psycopg.Error:
                # Its text may hold what the URL holds, and passes tell what is wrong with the server.
                log.log(
                    logging.DEBUG if self._lost else logging.WARNING,
                    "no notices from %s at the moment: it is looked at on time",
                    redacted(self._url),
                )
                self._lost = True
                self._stop.wait(_AGAIN_SECONDS)

    def _listen(self) -> None:
        with session(self._url) as connection:
            if not (connection.direct or pools_sessions(connection, self._url)):
                raise SourceError(
                    f"no notices from {redacted(self._url)}: the pooler there pools transactions, and delivers none; "
                    "it is looked at on time. Give the URL of the server itself, or of a pool of sessions"
                )
            connection.execute(f"LISTEN {CHANNEL}")
            self._lost = False
            while not self._stop.is_set():
                for notice in connection.notifies(timeout=_TURN_SECONDS):
                    if self._is_ours(notice.payload):
                        self._wake()

    def _is_ours(self, payload: str) -> bool:
        """Whether a notice is of our exchange; one that says nothing of an exchange is."""
        try:
            told = json.loads(payload or "{}")
        except (ValueError, RecursionError) as error:
            # Whatever it means, it was sent because of a bar.
            why = f"a notice on {CHANNEL} is not JSON ({shortened(error)}): it wakes the watch like any other"
            self._troubles.tell("notice", why, logging.WARNING)
            return True
        return not isinstance(told, dict) or told.get("exchange", self._exchange) == self._exchange
