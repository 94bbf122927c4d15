"""A reader of the trading stack: a process that looks at every table again and again, and tells at its end what it saw.

Started as ``python -m tests.faults.reader DATABASE``; ends when its standard input does. It keeps one connection open
for good, and opens a new one each time; both read-only and without any patience for locks.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

from tests.faults.passes import newest_rows


def look(connection: sqlite3.Connection) -> str:
    """The newest 数据时间 over all tables, in one transaction: one, where all show the same run."""
    connection.execute("BEGIN")
    moments = sorted(set(newest_rows(connection).values()))
    connection.execute("COMMIT")
    return " ".join(moments)


def connected(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=0, isolation_level=None)
    connection.execute("PRAGMA mmap_size = 268435456")
    return connection


def main() -> None:
    database, ended = Path(sys.argv[1]), threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    looks, seen, errors = 0, set(), []
    with closing(connected(database)) as kept:
        while not ended.is_set() or not looks:
            try:
                seen.add(look(kept))
                with closing(connected(database)) as fresh:
                    seen.add(look(fresh))
                looks += 1
            except sqlite3.Error as error:
                errors.append(str(error))
            if looks == 1:
                print("reading", flush=True)
    print(json.dumps({"looks": looks, "seen": sorted(seen), "errors": errors}))


if __name__ == "__main__":
    main()
