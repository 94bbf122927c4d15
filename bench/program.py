"""One run of the whole program, or of its peer, as a child process, and what it cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.market import NOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.market import Scale

#: What the run says of itself.
_FROM_RECORD = (
    "t_start", "total", "t_read", "t_compute", "t_write", "peak_rss_mb", "pg_queries", "pg_rows", "sqlite_commits",
    "sqlite_rows_written", "sqlite_rows_pruned", "rows",
)  # fmt: skip
_COMMAND = Path(sys.executable).with_name("candlemill")
_PEER = Path(__file__).parent / "peers" / "script.py"


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
    words = [
        str(_COMMAND), "run", "--source", database, "--symbols", "all", "--intervals", ",".join(scale.intervals),
        "--as-of", NOW.isoformat(), "--sqlite", str(result), "--duckdb", str(work), "--json", "--quiet",
    ]  # fmt: skip
    said, figures = _launched(words, result.parent)
    record = json.loads(said)
    figures |= {name: record[name] for name in _FROM_RECORD}
    return Ran(figures, {stage.pop("interval"): stage for stage in record["stages"]})


def run_peer(database: str, scale: Scale, result: Path) -> dict[str, float]:
    """Run the script that a desk would write (``bench/peers/script.py``) on the same market, into a fresh file.

    Returns what the operating system accounts it with. Raises CalledProcessError where it fails.
    """
    result.unlink(missing_ok=True)
    words = [sys.executable, str(_PEER), database, str(result), ",".join(scale.intervals), NOW.isoformat()]
    _, figures = _launched(words, result.parent)
    return figures


def has_peer() -> bool:
    """Whether the packages of the peer are installed."""
    return all(find_spec(name) for name in ("adbc_driver_postgresql", "polars", "polars_talib"))


def _launched(words: Sequence[str], folder: Path) -> tuple[str, dict[str, float]]:
    """Standard output of a child process, and what the operating system accounts it with."""
    usage = folder / "usage.json"
    launch = [sys.executable, "-I", str(Path(__file__).with_name("launch.py")), str(usage)]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run([*launch, *words], cwd=folder, env=kept, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(usage.read_text())
    figures["cpu"] = figures["cpu_user"] + figures["cpu_system"]
    return done.stdout, figures
