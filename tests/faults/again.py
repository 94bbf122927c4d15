"""Many runs in one process, as a service that stays up makes them; tells after each what the process holds.

Started as ``python -m tests.faults.again URL FOLDER RUNS INDICATORS``. One line of JSON per run: resident memory in
MiB, open files, and the names and sizes of what lies in the folder.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

from candlemill.pipeline.base.intervals import INTERVALS
from candlemill.pipeline.engine import run
from candlemill.pipeline.settings import Settings, parse_indicators, parse_retention
from tests.faults.passes import RETENTION, SYMBOLS, moment


def resident() -> int:
    [line] = [text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmRSS:")]
    return int(line.split()[1]) // 1024


def threads() -> int:
    """Threads of this process but for those of ConnectorX's connection pools, which end half a minute after use."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        # One that ends meanwhile is not there any more.
        with suppress(OSError):
            names.append((task / "comm").read_text())
    return sum(not name.startswith("r2d2-worker") for name in names)


def main() -> None:
    url, folder, runs, asked = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    for step in range(runs):
        settings = Settings(
            source=url,
            sqlite=folder / "result.db",
            duckdb=folder / "work.duckdb",
            symbols=",".join(SYMBOLS),
            intervals=(INTERVALS["5m"],),
            indicators=parse_indicators(asked),
            as_of=moment(step - runs),
            lookback=60,
            workers=2,
            retention=parse_retention(f"5m={RETENTION}"),
        )
        record = run(settings)
        held = {
            "memory": resident(),
            "files": len(list(Path("/proc/self/fd").iterdir())),
            "threads": threads(),
            "folder": {file.name: file.stat().st_size for file in folder.iterdir()},
            "errors": record.errors,
        }
        print(json.dumps(held), flush=True)


if __name__ == "__main__":
    main()
