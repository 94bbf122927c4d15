"""Interrupts are told in one line from the first import on, and later ones do not disturb the end."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.conftest import CANDLEMILL, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAYS = {
    signal.SIGINT: (130, "candlemill: interrupted, nothing was written\n"),
    signal.SIGTERM: (143, "candlemill: terminated, nothing was written\n"),
}


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """URL of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"postgresql://me@127.0.0.1:{door.getsockname()[1]}/market"


@pytest.mark.parametrize("how", SAYS)
@pytest.mark.parametrize("delay", [0, 0.1, 0.4, 1.3])
def test_while_imports_are_made_or_a_server_is_silent(
    delay: float, how: signal.Signals, silent: str, tmp_path: Path
) -> None:
    words = [str(CANDLEMILL), "run", "--source", silent]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        listening(child)
        time.sleep(delay)
        child.send_signal(how)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == SAYS[how]
    # The folder of the files may have been made by then; nothing is in it.
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_command_that_works_in_steps_says_what_stays(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as door,
        subprocess.Popen(
            [str(CANDLEMILL), "init-db", "--source", f"postgresql://me@127.0.0.1:{door.getsockname()[1]}/market"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        client, _ = door.accept()
        with client:
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "candlemill: interrupted, what was created stays: run it again\n")


PROGRAM = """
import signal, sys
from candlemill.pipeline.base import interrupts
interrupts.listen()
try:
    with interrupts.held():
        signal.raise_signal(signal.SIGTERM)
        print("held")
    print("after", interrupts.came() == signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    print("the first one counts", interrupts.came() == signal.SIGTERM)
    interrupts.check()
except interrupts.Interrupted:
    print("told")
    with interrupts.held():
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    print("at the end")
"""


def test_an_interrupt_that_is_held_back_is_told_when_somebody_asks() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["held", "after True", "the first one counts True", "told", "at the end"]


UNDIVIDED = """
import signal, time
from candlemill.pipeline.base import interrupts

def step():
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.05)
    print("a step of it")

@interrupts.undivided
def take():
    step()
    print("the whole of it")

interrupts.listen()
try:
    take()
    time.sleep(10)
except interrupts.Interrupted:
    print("told")
"""


def test_an_interrupt_of_what_must_run_whole_is_told_after_it() -> None:
    done = subprocess.run([sys.executable, "-c", UNDIVIDED], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["a step of it", "the whole of it", "told"]


BLOCK = """
import contextlib, signal, time
from candlemill.pipeline.base import interrupts

@contextlib.contextmanager
@interrupts.undivided
def block():
    print("taken")
    try:
        yield
    finally:
        print("given back")

# As if it came as soon as the block is there, where nobody but contextlib knows of it.
enter = contextlib._GeneratorContextManager.__enter__
ENTER = "def enter_and_interrupt(self): taken = enter(self); signal.raise_signal(signal.SIGINT); return taken"
exec(compile(ENTER, contextlib.__file__, "exec"))
contextlib._GeneratorContextManager.__enter__ = enter_and_interrupt

interrupts.listen()
try:
    with block():
        time.sleep(10)
except interrupts.Interrupted:
    print("told")
"""


def test_an_interrupt_at_the_edge_of_a_block_is_told_within_it() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCK], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["taken", "given back", "told"]


PREPARED = """
import signal, sys, threading, time
from pathlib import Path
from candlemill.pipeline.base import interrupts
from candlemill.pipeline.results.sink import Sink

def read_slowly(*_):
    time.sleep(0.5)
    print("read", flush=True)

def start_and_interrupt(thread):
    start(thread)
    signal.raise_signal(signal.SIGINT)

Sink._read_ahead = read_slowly
start, threading.Thread.start = threading.Thread.start, start_and_interrupt
interrupts.listen()
try:
    with Sink(Path(sys.argv[1]), lock_timeout=1) as sink:
        sink.prepare([], {}, lambda _: 1)
    interrupts.check()
except interrupts.Interrupted:
    interrupts.ignore()
    print("closed")
"""


def test_a_thread_that_has_just_begun_is_waited_for_before_its_connection_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "result.db"
    file.write_bytes(b"of somebody")
    words = [sys.executable, "-c", PREPARED, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["read", "closed"]


LOCKED = """
import _imp, signal, sys, threading, time
from candlemill.pipeline.base import interrupts
interrupts.listen()
locked = threading.Event()

def import_slowly():
    _imp.acquire_lock()
    locked.set()
    time.sleep(0.2)
    # The main thread now waits for the lock, and hears of the signal as soon as it has it.
    signal.raise_signal(signal.SIGINT)
    _imp.release_lock()

def import_another():
    import wave

threading.Thread(target=import_slowly).start()
try:
    locked.wait()
    import colorsys
    print("imported", flush=True)
    time.sleep(10)
except interrupts.Interrupted:
    print("told", flush=True)
another = threading.Thread(target=import_another, daemon=True)
another.start()
another.join(5)
print("others import" if "wave" in sys.modules else "nobody can import any more")
"""


def test_an_interrupt_of_an_import_leaves_its_lock_to_others() -> None:
    done = subprocess.run([sys.executable, "-c", LOCKED], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout.splitlines(), done.stderr) == (["imported", "told", "others import"], "")


LOST = """
import signal, time
from candlemill.pipeline.base import interrupts
interrupts.listen()

class Closing:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

class Broken:
    def __del__(self):
        raise ValueError("broken")

try:
    Broken()
    Closing()
    print("nobody was told")
    time.sleep(10)
except interrupts.Interrupted:
    print("told")
"""


def test_an_interrupt_that_a_finalizer_swallows_is_told_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["nobody was told", "told"]
    # What else a finalizer says is still said.
    assert done.stderr.count("Exception ignored") == 1
    assert "ValueError: broken" in done.stderr


BUSY = """
import sys
from io import BytesIO
from pyarrow import csv
from candlemill.pipeline import __main__
from candlemill.pipeline.commands import app
from candlemill.pipeline.base.threads import in_thread

lines = b"1,2.5,3\\n" * 20_000

def read():
    while True:
        csv.read_csv(BytesIO(lines), read_options=csv.ReadOptions(column_names=["a", "b", "c"], use_threads=False))

def end_while_reading():
    for _ in range(4):
        in_thread(read)
    csv.read_csv(BytesIO(lines))
    print("told")
    sys.exit(3)

app.main = end_while_reading
__main__.main()
"""


@pytest.mark.parametrize("_", range(3))
def test_the_exit_code_stands_while_threads_are_reading(_: int) -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "told\n", "")


HALF_WAY = """
import atexit, os, signal
from candlemill.pipeline import __main__
from candlemill.pipeline.commands import app

def import_half():
    # What a library of C++ does at the end when it was not all set up.
    atexit.register(os.abort)
    signal.raise_signal(signal.SIGINT)

app.main = import_half
__main__.main()
"""


def test_the_exit_code_stands_where_a_library_cannot_end() -> None:
    done = subprocess.run([sys.executable, "-c", HALF_WAY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == SAYS[signal.SIGINT]


TALKING = """
import logging, os, signal, sys, threading
from candlemill.pipeline import __main__
from candlemill.pipeline.base import logs
from candlemill.pipeline.commands import app

def talk():
    while True:
        logging.getLogger("talk").warning("more")

def end_while_talking():
    logs.set_up("info", as_json=False, quiet=False)
    for _ in range(8):
        threading.Thread(target=talk, daemon=True).start()
    signal.raise_signal(signal.SIGINT)

def end(code):
    # As slow as a machine that has other things to do.
    threading.Event().wait(0.1)
    end_at_once(code)

end_at_once, os._exit = os._exit, end
app.main = end_while_talking
__main__.main()
"""


def test_nothing_is_said_after_the_last_word() -> None:
    done = subprocess.run([sys.executable, "-c", TALKING], capture_output=True, text=True, check=False, timeout=60)
    *before, last = done.stderr.splitlines()
    assert (done.returncode, f"{last}\n") == SAYS[signal.SIGINT]
    # Whole lines, the last of them too.
    assert before
    assert all(line.endswith("WARNING more") for line in before)
