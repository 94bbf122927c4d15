"""Threads beside the computation, and reading one item ahead of it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from candlemill.pipeline.base.threads import in_thread, read_ahead
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from candlemill.pipeline.base.threads import Awaited


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
def test_a_thread_beside_the_computation_steps_back_and_the_computation_does_not() -> None:
    before = niceness()
    assert in_thread(niceness).result() == max(before, 10)
    assert list(read_ahead(lambda *_: niceness(), [1, 2])) == [max(before, 10)] * 2
    assert niceness() == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
def test_a_process_that_steps_back_further_stays_there() -> None:
    told = (
        "import os, threading; from candlemill.pipeline.base.threads import in_thread; os.nice(15); "
        "print(in_thread(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result())"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) >= 15


ON_DEMAND = """
import sys, threading
import numpy
from candlemill.pipeline.commands import app

known = numpy.__getattr__

def told(name):
    if threading.current_thread() is not threading.main_thread() and name in numpy.__numpy_submodules__:
        print(name)
    return known(name)

numpy.__getattr__ = told
app.main(sys.argv[1:])
"""


def test_no_thread_makes_numpy_import_a_part_of_itself(golden_url: Callable[[Path], str], tmp_path: Path) -> None:
    """NumPy does so in a function that calls itself until another thread has finished the same import."""
    case = goldens.HERE / "synth_core"
    words = ["run", "--source", golden_url(case), "--as-of", goldens.description(case)["as_of"], "--symbols", "all"]
    program = [sys.executable, "-c", ON_DEMAND, *words, "--sqlite", "result.db", "--duckdb", "work.duckdb"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "run complete" in done.stderr


def reader_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "reader"}


def ended(threads: set[threading.Thread], seconds: float = 3.0) -> bool:
    for thread in threads:
        thread.join(seconds)
    return not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 50])
def test_items_come_in_the_order_of_their_keys(count: int) -> None:
    before = reader_threads()
    assert list(read_ahead(lambda key, _: f"item {key}", range(count))) == [f"item {key}" for key in range(count)]
    assert ended(reader_threads() - before)


def test_the_order_does_not_depend_on_which_side_is_slow() -> None:
    def slow_read(key: int, _: Awaited) -> int:
        time.sleep(0.02 * (key % 2))
        return key

    assert list(read_ahead(slow_read, range(6))) == list(range(6))
    found = []
    for item in read_ahead(lambda key, _: key, range(6)):
        time.sleep(0.02 * (item % 2))
        found.append(item)
    assert found == list(range(6))


def test_the_next_item_is_read_while_one_is_used() -> None:
    reached = threading.Event()

    def read(key: int, _: Awaited) -> int:
        if key == 1:
            reached.set()
        return key

    items = read_ahead(read, range(3))
    assert next(items) == 0
    assert reached.wait(3)
    assert list(items) == [1, 2]


def test_a_read_is_told_when_its_item_is_waited_for() -> None:
    begun: queue.SimpleQueue[Awaited] = queue.SimpleQueue()

    def read(key: int, awaited: Awaited) -> int:
        begun.put(awaited)
        if key == 2:
            # Ends only because the item is asked for.
            awaited.result(10)
        return key

    items = read_ahead(read, range(3))
    first = begun.get(timeout=10)
    assert not first.done()
    assert next(items) == 0
    assert first.done()
    assert not begun.get(timeout=10).done()
    assert list(items) == [1, 2]


def test_one_item_is_read_ahead_and_no_more() -> None:
    begun: list[int] = []

    def read(key: int, _: Awaited) -> int:
        begun.append(key)
        return key

    items = read_ahead(read, range(5))
    assert next(items) == 0
    time.sleep(0.3)
    assert begun == [0, 1]
    assert next(items) == 1
    time.sleep(0.3)
    assert begun == [0, 1, 2]
    assert list(items) == [2, 3, 4]


def test_the_first_item_is_begun_at_once_and_nothing_else() -> None:
    begun: list[int] = []
    items = read_ahead(lambda key, _: begun.append(key), range(3))
    time.sleep(0.3)
    assert begun == [0]
    items.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_surfaces_where_its_item_would(error: BaseException) -> None:
    def read(key: int, _: Awaited) -> int:
        if key == 2:
            raise error
        return key

    before = reader_threads()
    items = read_ahead(read, range(5))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(type(error)) as raised:
        next(items)
    assert raised.value is error
    assert list(items) == []
    assert ended(reader_threads() - before)


def test_an_error_of_the_first_item_surfaces_at_once() -> None:
    def read(*_: object) -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        next(read_ahead(read, range(5)))


def test_an_error_of_the_keys_surfaces_and_nobody_waits_for_ever() -> None:
    def keys() -> Iterator[int]:
        yield 1
        raise ValueError("no more keys")

    found: list[object] = []

    def consume() -> None:
        try:
            found.extend(read_ahead(lambda key, _: key, keys()))
        except ValueError as error:
            found.append(str(error))

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    consumer.join(3)
    assert not consumer.is_alive()
    assert found == [1, "no more keys"]


def test_an_item_that_is_nothing_is_an_item() -> None:
    assert list(read_ahead(lambda key, _: key or None, [1, 0, 2])) == [1, None, 2]


def test_a_reader_that_is_left_alone_stops() -> None:
    before = reader_threads()
    read: list[int] = []

    def note(key: int, _: Awaited) -> int:
        read.append(key)
        return key

    items = read_ahead(note, range(1000))
    assert next(items) == 0
    started = reader_threads() - before
    assert len(started) <= 1
    assert all(thread.daemon for thread in started)
    items.close()  # type: ignore[attr-defined]
    assert ended(started)
    assert len(read) < 10


def test_a_reader_stops_where_its_user_fails() -> None:
    before = reader_threads()

    def use() -> None:
        for item in read_ahead(lambda key, _: key, range(1000)):
            if item == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert ended(reader_threads() - before)
