"""``python -m bench.profiling``: where a run spends its time and its memory.

The market is the one of DATABASE_URL (the environment or ``.env``), else the sample market in an embedded server. Every
setting of ``candlemill run`` that has a variable of the environment works here, too; both result files go elsewhere.
"""

from __future__ import annotations

import argparse
import cProfile
import inspect
import io
import os
import pstats
import shutil
import subprocess
import sys
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from dotenv import load_dotenv
from rich.console import Console
from rich.table import Table

from candlemill.pipeline import engine, reading
from candlemill.pipeline.commands.entry import main as candlemill
from candlemill.pipeline.compute import pivot
from candlemill.pipeline.demo.market import current_minute, load_market
from candlemill.pipeline.demo.server import demo_server
from candlemill.pipeline.results.sink import Sink
from candlemill.pipeline.source.reader import Source
from candlemill.pipeline.source.schema import init_db
from candlemill.pipeline.workfile.writer import WorkFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = TypeVar("Key")
Item = TypeVar("Item")

PLACE = Path("data/profile")
FILES = ("--sqlite", str(PLACE / "result.db"), "--duckdb", str(PLACE / "work.duckdb"))
#: What each stage of a run consists of.
STAGES: dict[str, list[tuple[Any, str]]] = {
    "read": [(Source, "connect"), (Source, "auto_symbols"), (Source, "candles"), (Source, "metrics")],
    "compute": [
        (pivot, "pivot_bars"), (pivot, "pivot_metrics"), (engine, "computed"),
        (engine, "joined"), (WorkFile, "keep"), (WorkFile, "load"), (WorkFile, "store"),
    ],
    "write": [(WorkFile, "settle"), (Sink, "insert"), (Sink, "commit")],
    "publish": [(WorkFile, "publish")],
}  # fmt: skip


def main() -> None:
    """Profile one run by the tool that is asked for."""
    tools = {"cprofile": _functions, "flamegraph": _flamegraph, "memray": _memray}
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description=__doc__)
    parser.add_argument("tool", choices=tools)
    parser.add_argument("--top", type=int, default=12, help="functions of each stage that cprofile lists")
    words = parser.parse_args()
    load_dotenv(Path(".env"))
    PLACE.mkdir(parents=True, exist_ok=True)
    with _market():
        tools[words.tool](words.top)


@contextmanager
def _market() -> Iterator[None]:
    """DATABASE_URL, pointing to the sample market where it points nowhere. The URL is in no command line."""
    if os.environ.get("DATABASE_URL"):
        yield
        return
    with demo_server(Path("data/demo/server")) as url:
        init_db(url)
        load_market(url, current_minute())
        os.environ["DATABASE_URL"] = url
        yield


def _functions(top: int) -> None:
    """cProfile of every stage. Everything runs in one thread here, so that one stage runs at a time."""
    stages = {name: cProfile.Profile() for name in STAGES}
    with ExitStack() as patches:
        patches.enter_context(patch.object(reading, "ReadAhead", _in_turn))
        patches.enter_context(patch.object(reading, "in_thread", _at_once))
        for name, parts in STAGES.items():
            for owner, part in parts:
                patches.enter_context(patch.object(owner, part, _profiled(getattr(owner, part), stages[name])))
        try:
            candlemill(["run", "--quiet", *FILES])
        except SystemExit as end:
            if end.code:
                raise
    listing = io.StringIO()
    table = Table("stage", "seconds", box=None, header_style="bold")
    for name, profile in stages.items():
        stats = pstats.Stats(profile, stream=listing).sort_stats("tottime")
        stats.dump_stats(PLACE / f"{name}.prof")
        listing.write(f"== {name}\n")
        stats.print_stats(top)
        table.add_row(name, f"{stats.get_stats_profile().total_tt:.2f}")
    (PLACE / "functions.txt").write_text(listing.getvalue())
    sys.stdout.write(listing.getvalue())
    Console().print(table)
    _say(
        f"the list above is {PLACE}/functions.txt: tottime is time in the function itself, cumtime with all it calls;",
        "seconds are longer than in an ordinary run, because every call is counted and nothing runs side by side;",
        f"all functions of a stage: python -m pstats {PLACE}/compute.prof",
    )


def _in_turn(read: Callable[[Key], Item], keys: Iterable[Key], **_: object) -> Iterator[list[Item]]:
    """``ReadAhead`` without reading ahead."""
    for key in keys:
        yield [read(key)]


def _at_once(work: Callable[[], Item]) -> Future[Item]:
    """``in_thread`` without a thread."""
    done: Future[Item] = Future()
    done.set_result(work())
    return done


def _profiled(function: Callable[..., Any], profile: cProfile.Profile) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        profile.enable()
        try:
            return function(*args, **named)
        finally:
            profile.disable()

    @wraps(function)
    def each(*args: Any, **named: Any) -> Iterator[Any]:
        items = function(*args, **named)
        while True:
            profile.enable()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                profile.disable()
            yield item

    return each if inspect.isgeneratorfunction(function) else call


def _flamegraph(_top: int) -> None:
    """py-spy starts the run itself, which most machines allow where they forbid looking into a running process."""
    picture = PLACE / "flamegraph.svg"
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    words = [spy, "record", "--rate", "250", "--threads", "--output", str(picture), "--"]
    done = subprocess.run([*words, *_run()], capture_output=True, text=True, check=False)
    said = done.stderr.strip().splitlines()
    for line in said:
        if line.startswith("candlemill: "):
            sys.exit(line)
    if done.returncode:
        sys.exit(f"py-spy made no flame graph (this machine may forbid ptrace): {said[-1] if said else done.stdout}")
    _say(
        f"flame graph in {picture}: open it in a browser, click to zoom, Ctrl-F to search",
        "width is share of samples, downwards are callees; the reader and the work file have threads of their own",
    )


def _memray(_top: int) -> None:
    capture = PLACE / "memray.bin"
    failed = subprocess.run([*_run(), "--memray", str(capture)], check=False).returncode
    if failed:
        sys.exit(failed)
    _say(
        f"{capture}.png: memory over the run, with its stages",
        f"{capture}.txt: who allocates most, by place in the code, over the whole run",
        f"{capture}.html: what holds memory at the peak; open it in a browser, click to zoom",
        f"more reports from the capture: python -m memray tree {capture}",
    )


def _run() -> list[str]:
    return [sys.executable, "-m", "pipeline", "run", "--quiet", *FILES]


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
