"""Interrupts are told in one line from the first import on, and later ones do not disturb the end."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
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
HUNG_UP = (129, "candlemill: hung up, nothing was written\n")


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """URL of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as connection:
        yield f"postgresql://me@127.0.0.1:{connection.getsockname()[1]}/market"


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
        socket.create_server(("127.0.0.1", 0)) as connection,
        subprocess.Popen(
            [str(CANDLEMILL), "init-db", "--source", f"postgresql://me@127.0.0.1:{connection.getsockname()[1]}/market"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        client, _ = connection.accept()
        with client:
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (130, "candlemill: interrupted, what was created stays: run it again\n")


def ended(program: str, *words: str) -> tuple[int, list[str], str]:
    """Exit code, lines of the output and the log of a program that listens for signals."""
    begin = "import os, signal, sys, threading, time\nfrom candlemill.pipeline.base import ending\nending.listen()\n"
    words = (sys.executable, "-c", begin + program, *words)
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("how", SAYS)
@pytest.mark.parametrize("busy", ["threading.Lock().acquire(); threading.Event().wait()", "while True: pass"])
def test_a_signal_ends_the_process_whatever_its_main_thread_does(busy: str, how: signal.Signals) -> None:
    code, _, err = ended(f"signal.raise_signal({how:d})\n{busy}")
    assert (code, err) == SAYS[how]


@pytest.mark.usefixtures("hangups")
def test_a_terminal_that_goes_ends_the_process_unless_it_was_started_without() -> None:
    program = f"signal.raise_signal({signal.SIGHUP:d})\ntime.sleep(60)"
    code, _, err = ended(program)
    assert (code, err) == HUNG_UP
    begin = "import os, signal, sys, threading, time\nfrom candlemill.pipeline.base import ending\n"
    program = f"""{begin}
signal.signal(signal.SIGHUP, signal.SIG_IGN)
ending.listen()
signal.raise_signal(signal.SIGHUP)
with ending.postponed():
    assert not ending.forget()
print("it goes on")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "it goes on\n", "")


def test_a_signal_that_is_postponed_ends_the_process_after_the_block() -> None:
    program = """
with ending.postponed():
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    ending.leaves("the whole of it was written")
    print("the whole of it", flush=True)
print("more than that", flush=True)
"""
    said = "candlemill: terminated, the whole of it was written\n"
    assert ended(program) == (143, ["the whole of it"], said)


def test_a_block_that_fails_because_of_the_signal_is_no_failure() -> None:
    program = """
with ending.postponed():
    os.kill(os.getpid(), signal.SIGINT)
    raise OSError("a child was interrupted")
"""
    assert ended(program) == (130, [], SAYS[signal.SIGINT][1])


def test_a_signal_that_comes_too_late_can_be_forgotten_and_the_next_one_counts() -> None:
    program = """
with ending.postponed():
    assert not ending.forget()
    os.kill(os.getpid(), signal.SIGINT)
    while not ending.forget():
        time.sleep(0.01)
print("complete", flush=True)
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(60)
"""
    assert ended(program) == (143, ["complete"], SAYS[signal.SIGTERM][1])


OWNED = """
def released(what):
    print("released", what, flush=True)

def acquired(what):
    if sys.argv[1] == what:
        os.kill(os.getpid(), signal.SIGINT)
    return what

with ending.owned(lambda: "the first", released):
    with ending.owned(lambda: "given back", released):
        pass
    with ending.owned(lambda: acquired("the second"), released):
        with ending.owned(lambda: acquired("the third"), released):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)
"""


@pytest.mark.parametrize(
    ("at", "owned"), [("the second", ["second", "first"]), ("the third", ["third", "second", "first"])]
)
def test_what_is_owned_is_released_also_where_the_signal_comes_while_it_is_acquired(at: str, owned: list[str]) -> None:
    lines = ["released given back", *(f"released the {what}" for what in owned)]
    assert ended(OWNED, at) == (130, lines, SAYS[signal.SIGINT][1])


def test_a_signal_while_something_is_given_back_waits_until_it_is() -> None:
    program = """
def release(_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    print("released", flush=True)

with ending.owned(lambda: None, release):
    pass
"""
    assert ended(program) == (130, ["released"], SAYS[signal.SIGINT][1])


def test_what_cannot_be_released_is_told_and_the_rest_is_released() -> None:
    program = """
def fail(_):
    raise OSError("the folder is busy")

with ending.owned(lambda: "the rest", print), ending.owned(lambda: None, fail):
    signal.raise_signal(signal.SIGINT)
    time.sleep(60)
"""
    code, _, err = ended(program.replace("print", "lambda it: print(it, flush=True)"))
    assert code == 130
    first, last = err.splitlines(keepends=True)
    assert "the folder is busy" in first
    assert last == SAYS[signal.SIGINT][1]


def test_a_second_signal_while_the_process_ends_changes_nothing() -> None:
    program = """
def release(_):
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    time.sleep(0.2)
    print("released", flush=True)

with ending.owned(lambda: None, release):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""
    assert ended(program) == (130, ["released"], SAYS[signal.SIGINT][1])


def test_a_child_that_begins_in_a_block_outlives_the_signals_of_a_terminal() -> None:
    program = """
import subprocess
os.setpgrp()
with ending.postponed():
    child = subprocess.Popen(["sleep", "0.5"])
    os.killpg(0, signal.SIGINT)
    print("child", child.wait(), flush=True)
"""
    assert ended(program) == (130, ["child 0"], SAYS[signal.SIGINT][1])


def test_a_signal_comes_before_the_exit_code_stands_or_changes_nothing() -> None:
    program = """
import atexit
atexit.register(time.sleep, 0.01)
print("begun", flush=True)
time.sleep(0.01)
ending.finish()
print("the code stands", flush=True)
sys.exit(3)
"""
    found = set()
    for number in range(60):
        words = [sys.executable, "-c", "import sys, time\nfrom candlemill.pipeline.base import ending\n"
                 "ending.listen()" + program]  # fmt: skip
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "begun\n"
            time.sleep(number / 2000)
            child.send_signal(signal.SIGTERM)
            assert child.stderr is not None
            # Not by communicate(), which does not see what came together with the first line.
            out, err = child.stdout.read(), child.stderr.read()
        found.add((child.returncode, out, err))
    assert (143, "", SAYS[signal.SIGTERM][1]) in found
    assert found <= {(143, "", SAYS[signal.SIGTERM][1]), (3, "the code stands\n", "")}


def test_an_error_that_comes_after_the_signal_is_not_the_last_word() -> None:
    program = """
from candlemill.pipeline.base.errors import SourceError
from candlemill.pipeline.commands import entry

def fail(*_, **__):
    with ending.postponed():
        pass
    os.kill(os.getpid(), signal.SIGINT)
    raise SourceError("the server went away, as the signal was for it, too")

entry._perform = fail
entry.main(["run"])
"""
    assert ended(program) == (130, [], SAYS[signal.SIGINT][1])


def test_a_terminal_gets_its_cursor_back(silent: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    words = [str(CANDLEMILL), "run", "--source", silent]
    with subprocess.Popen(words, cwd=tmp_path, stderr=theirs, env=os.environ | {"TERM": "xterm"}) as child:
        os.close(theirs)
        text = b""
        while b"\x1b[?25l" not in text:
            text += os.read(ours, 65536)
        child.send_signal(signal.SIGINT)
        with suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 65536):
                text += piece
    os.close(ours)
    assert child.returncode == 130
    *_, after = text.partition(b"\x1b[?25h")
    assert after.endswith(b"candlemill: interrupted, nothing was written\r\n")
    assert b"\x1b[?25l" not in after


BUSY = """
import sys
from io import BytesIO
from pyarrow import csv
from candlemill.pipeline import __main__
from candlemill.pipeline.commands import entry
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

entry.main = end_while_reading
__main__.main()
"""


@pytest.mark.parametrize("_", range(3))
def test_the_exit_code_stands_while_threads_are_reading(_: int) -> None:
    done = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "told\n", "")


HALF_WAY = """
import atexit, os, signal
from candlemill.pipeline import __main__
from candlemill.pipeline.commands import entry

def import_half():
    # What a library of C++ does at the end when it was not all set up.
    atexit.register(os.abort)
    signal.raise_signal(signal.SIGINT)

entry.main = import_half
__main__.main()
"""


def test_the_exit_code_stands_where_a_library_cannot_end() -> None:
    done = subprocess.run([sys.executable, "-c", HALF_WAY], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == SAYS[signal.SIGINT]


TALKING = """
import logging, os, signal, sys, threading
from candlemill.pipeline import __main__
from candlemill.pipeline.base import logs
from candlemill.pipeline.commands import entry

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
entry.main = end_while_talking
__main__.main()
"""


def test_nothing_is_said_after_the_last_word() -> None:
    done = subprocess.run([sys.executable, "-c", TALKING], capture_output=True, text=True, check=False, timeout=60)
    *before, last = done.stderr.splitlines()
    assert (done.returncode, f"{last}\n") == SAYS[signal.SIGINT]
    # Whole lines, the last of them too.
    assert before
    assert all(line.endswith("WARNING more") for line in before)
