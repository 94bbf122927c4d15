"""Writing into a result database: some rows at once, as a run does it, and whatever another process does there."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from candlemill.pipeline.record import SILENT, Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from candlemill.indicators.contract import Indicator
    from candlemill.pipeline.results.sink import Sink


def put(
    sink: Sink, results: Mapping[Indicator, pa.Table], keep: Callable[[str], int], observer: Observer = SILENT
) -> None:
    """Write the rows of some indicators in one transaction."""
    sink.insert(results, keep)
    sink.commit(observer)


def elsewhere(file: Path, *statements: str) -> None:
    """Do something in another process: two SQLite libraries in one do not see each other's locks."""
    with holding(file, *statements):
        pass


@contextmanager
def holding(file: Path, *statements: str) -> Iterator[None]:
    """Another process that has run some statements and keeps its connection."""
    code = (
        "import sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "[c.execute(s).fetchall() for s in sys.argv[2:]]\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", code, str(file), *statements]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        yield
        child.communicate()
    assert child.returncode == 0
