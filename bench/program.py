"""One run of the whole program as a child process, and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.market import NOW

if TYPE_CHECKING:
    from bench.market import Scale

#: What the run says of itself.
_FROM_RECORD = (
    "total", "t_read", "t_compute", "t_write", "peak_rss_mb", "pg_queries", "pg_rows", "sqlite_commits",
    "sqlite_rows_written", "sqlite_rows_pruned", "rows",
)  # fmt: skip
_COMMAND = Path(sys.executable).with_name("candlemill")


@dataclass(frozen=True)
class Ran:
    """One run.

    Attributes:
        figures: from the operating system ``wall``, ``cpu``, ``cpu_user``, ``cpu_system`` (seconds) and ``max_rss_mb``;
            the rest from the run record, under its names there.
        stages: by interval its ``t_read`` and ``t_compute`` in seconds, ``bars`` and ``series``.
    """

    figures: dict[str, float]
    stages: dict[str, dict[str, float]]


def run_program(database: str, scale: Scale, result: Path, work: Path) -> Ran:
    """Run the installed command once, in the files' folder and without any configuration from outside.

    Raises CalledProcessError where it fails; its message has gone to standard error.
    """
    usage = result.with_name("usage.json")
    words = [
        sys.executable, "-I", str(Path(__file__).with_name("launch.py")), str(usage),
        str(_COMMAND), "run", "--source", database, "--symbols", "all", "--intervals", ",".join(scale.intervals),
        "--as-of", NOW.isoformat(), "--sqlite", str(result), "--duckdb", str(work), "--json", "--quiet",
    ]  # fmt: skip
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(words, cwd=result.parent, env=kept, stdout=subprocess.PIPE, text=True, check=True)
    record = json.loads(done.stdout)
    figures: dict[str, float] = json.loads(usage.read_text())
    figures["cpu"] = figures["cpu_user"] + figures["cpu_system"]
    figures |= {name: record[name] for name in _FROM_RECORD}
    return Ran(figures, {stage.pop("interval"): stage for stage in record["stages"]})
