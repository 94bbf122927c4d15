"""Command lines in forks of one process that has imported them: as real as others, for a tenth of their time."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import traceback
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What a command line ends with where an exception gets out of it.
RAISED = 99
_IMPORTED = (
    *(
        "commands.entry",
        "commands.app",
        "commands.job",
        "commands.tabular",
        "engine",
        "parity.compare",
        "doctor",
        "ingest.load",
        "live.watch",
    ),
    *("plotting.candles", "plotting.canvas", "plotting.history", "plotting.page", "plotting.trend", "source.schema"),
)


@dataclass(frozen=True)
class Case:
    """A command line and what its streams are: a file, ``closed``, ``full``, or ``broken``, a pipe without a reader."""

    words: Sequence[str]
    folder: str
    out: str = "out"
    err: str = "err"
    encoding: str = "utf-8"
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Forked:
    """What became of one."""

    code: int
    out: bytes
    err: str


class Forks:
    """The process, as the tests see it."""

    def __init__(self, asks: IO[str], answers: IO[str]) -> None:
        self._asks, self._answers = asks, answers

    def run(self, case: Case) -> Forked:
        """Run a command line to its end."""
        self._asks.write(json.dumps(asdict(case)) + "\n")
        self._asks.flush()
        code = int(self._answers.readline())
        files = [Path(case.folder) / name for name in (case.out, case.err)]
        out, err = (file.read_bytes() if file.exists() else b"" for file in files)
        for file in files:
            file.unlink(missing_ok=True)
        return Forked(code, out, err.decode(errors="replace"))


@contextmanager
def forks() -> Iterator[Forks]:
    """Start the process; it ends with the block."""
    words = [sys.executable, "-m", "tests.forked"]
    root = Path(__file__).parent.parent
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=root, env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield Forks(process.stdin, process.stdout)
        process.stdin.close()


def _serve() -> None:
    for module in _IMPORTED:
        importlib.import_module(f"candlemill.pipeline.{module}")
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _become(Case(**json.loads(line)))
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


def _become(case: Case) -> None:
    from candlemill.pipeline import __main__

    os.chdir(case.folder)
    os.environ |= case.env
    sys.argv = ["candlemill", *case.words]
    raised = Path(case.folder) / case.err
    os.close(0)
    sys.stdin = None
    sys.stdout, sys.stderr = (_stream(number, what, case.encoding) for number, what in ((1, case.out), (2, case.err)))
    try:
        __main__.main()
    except BaseException:
        raised.write_text(traceback.format_exc())
    os._exit(RAISED)


def _stream(number: int, what: str, encoding: str) -> io.TextIOWrapper | None:
    os.close(number)
    if what == "closed":
        return None
    if what == "broken":
        unread, handle = os.pipe()
        os.close(unread)
    else:
        handle = os.open("/dev/full" if what == "full" else what, os.O_WRONLY | os.O_CREAT, 0o644)
    if handle != number:
        os.dup2(handle, number)
        os.close(handle)
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "wb", closefd=False)), encoding)


if __name__ == "__main__":
    _serve()
