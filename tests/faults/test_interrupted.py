"""A run that is told to end does so at once and has written nothing; after the commit it finishes."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg
import pytest

from tests.conftest import CANDLEMILL, dump_of, listening
from tests.faults.passes import Place, newest_of, shown
from tests.processes import processes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


INTERRUPTS = int(os.environ.get("CANDLEMILL_INTERRUPTS", "32"))
#: An end that waited for a lock, a statement or the server would take longer.
SECONDS = 8
SAYS = {
    signal.SIGINT: (130, "candlemill: interrupted, nothing was written"),
    signal.SIGTERM: (143, "candlemill: terminated, nothing was written"),
}


def told(child: subprocess.Popen[str], number: signal.Signals) -> tuple[int, list[str], float]:
    """Exit code, last lines and the seconds it takes when a run is told to end."""
    start = time.monotonic()
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    return child.returncode, err.splitlines(), time.monotonic() - start


def test_an_interrupt_at_any_moment_ends_the_run_before_it_writes_or_after_it_is_complete(
    first: Place, tmp_path: Path
) -> None:
    whole = first.copy(tmp_path / "whole")
    start = time.monotonic()
    assert whole.run(1).code == 0
    length = time.monotonic() - start
    before, after = dump_of(first.database), dump_of(whole.database)
    rng = random.Random(2)
    moments = [length * (number + rng.random()) / INTERRUPTS for number in range(INTERRUPTS)]

    def interrupted(number: int) -> int:
        place, how = first.copy(tmp_path / str(number)), list(SAYS)[number % 2]
        with place.begin(1) as child:
            listening(child)
            time.sleep(moments[number])
            code, lines, seconds = told(child, how)
        what = f"{how.name} after {moments[number]:.2f} s: {code}, {lines[-40:]}"
        assert place.strays() == [], what
        if code == 0 or lines[-1].endswith(", the results were written"):
            # It came when everything was being committed, or later.
            assert dump_of(place.database) == after, what
            with closing(duckdb.connect(str(place.work), read_only=True)) as connection:
                assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(3,)], what
        else:
            assert (code, lines[-1]) == SAYS[how], what
            assert seconds < SECONDS, what
            assert dump_of(place.database) == before, what
            assert place.work.read_bytes() == first.work.read_bytes(), what
        assert not any("Traceback" in line for line in lines), what
        with closing(sqlite3.connect(place.database, timeout=0)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
        return code

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = set(pool.map(interrupted, range(INTERRUPTS)))
    assert {130, 143} <= codes


@pytest.mark.parametrize("how", SAYS)
def test_an_interrupt_while_a_table_is_read(how: signal.Signals, place: Place, url: str) -> None:
    before = dump_of(place.database)
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE market_data.candles_5m IN ACCESS EXCLUSIVE MODE")
        with place.begin(1) as child:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%candles_5m%%'"
            )
            while connection.execute(waits).fetchone() == (0,):
                assert child.poll() is None
                time.sleep(0.01)
                connection.execute("SELECT pg_stat_clear_snapshot()")
            code, lines, seconds = told(child, how)
        connection.rollback()
    assert (code, lines[-1]) == SAYS[how]
    assert seconds < SECONDS
    assert dump_of(place.database) == before
    assert place.strays() == []


#: Makes an interrupt come just before or after one call of a function in the main thread, and runs the command line.
AT = """
import pkgutil, signal, sys, threading
from candlemill.pipeline import __main__

when, place, asked = sys.argv[1:4]
module, _, name = place.rpartition(":")
*within, name = name.split(".")
owner = pkgutil.resolve_name(":".join([module, ".".join(within)]))
known = getattr(owner, name)
main = threading.main_thread()

def known_and_interrupt(*given, **named):
    meant = threading.current_thread() is main and asked in repr((given, named))
    if meant and when == "before":
        signal.raise_signal(signal.SIGINT)
    try:
        return known(*given, **named)
    finally:
        if meant and when == "after":
            signal.raise_signal(signal.SIGINT)

setattr(owner, name, known_and_interrupt)
sys.argv[1:4] = []
__main__.main()
"""


def interrupted_at(place: Place, when: str, call: str, asked: str = "") -> tuple[int, list[str]]:
    """Exit code and log of a run that is interrupted at a call; ``asked``: a part of what is to be given to it."""
    words = [sys.executable, "-c", AT, when, call, asked, *place.words(1)[1:]]
    done = subprocess.run(words, cwd=place.folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        # A thread has begun to work with a connection, and nobody knows of it yet.
        ("threading:Thread.start", "(sink"),
        ("threading:Thread.start", "(workfile"),
        ("threading:Thread.start", "(reader"),
        ("candlemill.pipeline.base.folders:tempfile.mkdtemp", ""),
        ("candlemill.pipeline.workfile.writer:open_duckdb", ""),
    ],
)
def test_an_interrupt_while_something_is_taken_leaves_nothing_of_it(call: str, asked: str, place: Place) -> None:
    before = dump_of(place.database)
    code, lines = interrupted_at(place, "after", call, asked)
    assert (code, lines[-1:]) == (130, [SAYS[signal.SIGINT][1]]), lines
    assert dump_of(place.database) == before
    assert place.strays() == []


@pytest.mark.parametrize("call", ["ThreadPoolExecutor.shutdown", "shutil.rmtree"])
def test_an_interrupt_while_the_rest_is_given_back_leaves_nothing_of_it(call: str, place: Place) -> None:
    code, lines = interrupted_at(place, "before", f"candlemill.pipeline.workfile.writer:{call}")
    assert code == 0 or (code, lines[-1]) == (130, "candlemill: interrupted, the results were written"), lines
    assert set(shown(place.database).values()) == {newest_of(1)}
    assert place.strays() == []


@pytest.mark.parametrize("how", SAYS)
def test_an_interrupt_between_the_commit_and_the_work_file_is_too_late(how: signal.Signals, place: Place) -> None:
    with publishing(place) as (child, release):
        child.send_signal(how)
        # A second one changes nothing either.
        child.send_signal(how)
        time.sleep(0.3)
        assert child.poll() is None
        release()
        _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "the run is complete" in err
    assert "run complete" in err
    assert set(shown(place.database).values()) == {newest_of(1)}
    with closing(duckdb.connect(str(place.work), read_only=True)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(3,)]
    assert place.strays() == []


@pytest.mark.parametrize("how", SAYS)
def test_an_interrupt_while_the_memory_is_reported_leaves_no_child(how: signal.Signals, place: Place) -> None:
    with place.begin(1, "--memray", "capture.bin") as child:
        while not [process for process in processes_of(Path("capture.bin.html")) if process != child.pid]:
            assert child.poll() is None
            time.sleep(0.01)
        code, lines, _ = told(child, how)
    assert (code, lines[-1]) == (SAYS[how][0], SAYS[how][1].replace("nothing was", "the results were"))
    assert processes_of(Path("capture.bin.html")) == []
    assert set(shown(place.database).values()) == {newest_of(1)}


@pytest.mark.parametrize("step", ["initdb", "pg_ctl"])
def test_a_demo_that_a_terminal_interrupts_while_its_server_starts_leaves_none(step: str, tmp_path: Path) -> None:
    words = [str(CANDLEMILL), "demo", "--intervals", "1h"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        while not processes_of(tmp_path, step):
            assert child.poll() is None
        os.killpg(child.pid, signal.SIGINT)
        assert child.stderr is not None
        lines = child.stderr.read().splitlines()
    assert servers_left_in(tmp_path) == []
    assert (child.returncode, lines[-1]) == SAYS[signal.SIGINT], lines
    assert list(tmp_path.rglob("*.db")) == []


@pytest.mark.parametrize("delay", [0.2, 0.6, 1.0, 1.5])
def test_a_demo_that_a_terminal_interrupts_leaves_no_server(delay: float, tmp_path: Path) -> None:
    """Ctrl-C in a terminal goes to every process of the group: also to those that set up the server."""
    words = [str(CANDLEMILL), "demo", "--intervals", "1h"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        listening(child)
        time.sleep(delay)
        os.killpg(child.pid, signal.SIGINT)
        assert child.stderr is not None
        lines = child.stderr.read().splitlines()
    assert servers_left_in(tmp_path) == []
    assert (child.returncode, lines[-1]) == SAYS[signal.SIGINT], lines
    assert list(tmp_path.rglob("*.db")) == []


@pytest.mark.usefixtures("hangups")
def test_a_demo_whose_terminal_goes_leaves_no_server(tmp_path: Path) -> None:
    words = [str(CANDLEMILL), "demo", "--intervals", "1h"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert next((line for line in child.stderr if "loading the sample market" in line), None)
        code, lines, _ = told(child, signal.SIGHUP)
    assert servers_left_in(tmp_path) == []
    assert (code, lines[-1]) == (129, "candlemill: hung up, nothing was written"), lines


def test_the_server_of_a_killed_demo_is_taken_over_and_stopped_by_the_next(tmp_path: Path) -> None:
    words = [str(CANDLEMILL), "demo", "--intervals", "1h", "--indicators", "base_data"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        assert next((line for line in child.stderr if "loading the sample market" in line), None)
        child.send_signal(signal.SIGKILL)
    killed = processes_of(tmp_path)
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    left = processes_of(tmp_path)
    for process in left:
        os.kill(process, signal.SIGINT)
    assert killed != []
    assert done.returncode == 0, done.stderr
    assert left == []


def servers_left_in(folder: Path) -> list[int]:
    """Processes of a server in a folder, which are stopped; it says that it has stopped a moment before it is gone."""
    end = time.monotonic() + 10
    while (servers := processes_of(folder)) and time.monotonic() < end:
        time.sleep(0.05)
    for process in servers:
        os.kill(process, signal.SIGINT)
    return servers


@contextmanager
def publishing(place: Place) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """A run that has committed and cannot publish yet, and what lets it."""
    folder = os.open(place.folder, os.O_RDONLY)
    try:
        with closing(sqlite3.connect(place.database, isolation_level=None)) as lock, place.begin(1) as child:
            lock.execute("BEGIN IMMEDIATE")
            assert child.stderr is not None
            assert next((line for line in child.stderr if "locked by another process" in line), None)
            fcntl.flock(folder, fcntl.LOCK_EX)
            lock.execute("ROLLBACK")
            while set(shown(place.database).values()) != {newest_of(1)}:
                assert child.poll() is None
                time.sleep(0.01)
            yield child, lambda: fcntl.flock(folder, fcntl.LOCK_UN)
    finally:
        os.close(folder)
