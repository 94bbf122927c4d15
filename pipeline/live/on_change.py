"""Starting a command with the words that passes have changed: one at a time, and never in the way of a pass."""

from __future__ import annotations

import logging
import subprocess
import tempfile
import threading
from collections import deque
from typing import TYPE_CHECKING

from ..base.intervals import INTERVALS, moment
from ..base.shown import as_json
from ..base.threads import in_thread
from ..results import reader
from ..results.changes import Change, Words, categories, in_order
from .troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from ...indicators.contract import Indicator

log = logging.getLogger(__name__)

#: Changes that wait for the command at most: more come together only while it hangs.
_MOST = 100_000


class OnChange:
    """Tells a command of each change once; a context manager that waits in the end until it was told of all.

    The rows are in a file that the command has as its standard input: it may read them or not, and has them whole
    however the watch ends.
    """

    def __init__(self, command: str, database: Path, indicators: Sequence[Indicator]) -> None:
        """Begin with what the result database has, which is no change any more.

        Args:
            command: for the shell.
            database: the result database, where it is there already.
            indicators: whose words count.

        Raises UsageError where the database cannot be read.
        """
        self._command, self._indicators = command, indicators
        self._words = Words()
        self._troubles = Troubles()
        self._changed = threading.Condition()
        self._waiting: deque[Change] = deque(maxlen=_MOST)
        self._ended = False
        if database.exists() and database.stat().st_size:
            with reader.result_database(database) as connection:
                reader.changes(connection, indicators, words=self._words)
        self._serving = in_thread(self._serve, "on-change")

    def __enter__(self) -> OnChange:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._serving.result()

    def see(self, tables: Mapping[Indicator, pa.Table]) -> None:
        """Take in the rows that a pass has written, by indicator, a row per series. Waits for nothing."""
        found: list[Change] = []
        for declared, rows in tables.items():
            columns = categories(declared)
            if not columns:
                continue
            times = rows["bucket_ts"].cast("int64").to_pylist()
            starts = {time: moment(time) for time in set(times)}
            keys = zip(rows["symbol"].to_pylist(), rows["interval"].to_pylist(), times, strict=True)
            texts = zip(*(rows[column.name].to_pylist() for column in columns), strict=True)
            for (symbol, interval, time), words in zip(keys, texts, strict=True):
                found += self._words.see(declared, symbol, interval, starts[time], words)
        if not found:
            return
        with self._changed:
            lost = len(self._waiting) + len(found) - _MOST
            self._waiting.extend(in_order(found, list(INTERVALS), self._indicators))
            self._changed.notify()
        if lost > 0:
            self._troubles.tell("lost", f"--on-change still runs, and is not told of {lost} changes: let it end sooner")

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                changes = list(self._waiting)
                self._waiting.clear()
            if not changes:
                return
            self._start(changes)

    def _start(self, changes: Sequence[Change]) -> None:
        """Start the command and wait for its end. What is wrong is told, the command is not: it may be secret."""
        try:
            with tempfile.TemporaryFile() as rows:
                for change in changes:
                    line = vars(change) | {"bucket_ts": change.bucket_ts.isoformat()}
                    rows.write(f"{as_json(line)}\n".encode())
                rows.seek(0)
                # The user's own command, as it was given.
                done = subprocess.run(["/bin/sh", "-c", self._command], stdin=rows, check=False)  # noqa: S603
        except OSError as error:
            why = f"{error.strerror}; {len(changes)} changes are lost"
            self._troubles.tell("start", f"--on-change cannot be started: {why}")
            return
        if done.returncode:
            how = f"ended with {done.returncode}" if done.returncode > 0 else f"was killed by signal {-done.returncode}"
            self._troubles.tell("code", f"--on-change {how}, told of {len(changes)} changes: it is not told again")
