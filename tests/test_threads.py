"""Threads beside the computation, and reading one item ahead of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from candlemill.pipeline.base.threads import Arriving, ReadAhead, in_thread
from tests import goldens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


def one_by_one(read: Callable[[Any], Any], keys: Iterable[Any]) -> Iterator[Any]:
    """Items in groups of one, as they come where each is worth a pass."""
    for group in ReadAhead(read, keys):
        yield from group


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
def test_a_thread_beside_the_computation_steps_back_and_the_computation_does_not() -> None:
    before = niceness()
    assert in_thread(niceness).result() == max(before, 10)
    assert list(one_by_one(lambda _: niceness(), [1, 2])) == [max(before, 10)] * 2
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
from candlemill.pipeline import __main__

known = numpy.__getattr__

def told(name):
    if threading.current_thread() is not threading.main_thread() and name in numpy.__numpy_submodules__:
        print(name)
    return known(name)

numpy.__getattr__ = told
__main__.main()
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
    # One that is about to start is listed, too.
    return {thread for thread in threading.enumerate() if thread.name == "reader" and thread.ident is not None}


def eventually(held: Callable[[], bool]) -> bool:
    """Whether something comes to hold, and goes on to."""
    for _ in range(1000):
        if held():
            time.sleep(0.05)
            return held()
        time.sleep(0.01)
    return False


def ended(threads: set[threading.Thread], seconds: float = 3.0) -> bool:
    for thread in threads:
        thread.join(seconds)
    return not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 50])
def test_items_come_in_the_order_of_their_keys(count: int) -> None:
    before = reader_threads()
    assert list(one_by_one(lambda key: f"item {key}", range(count))) == [f"item {key}" for key in range(count)]
    assert ended(reader_threads() - before)


def test_the_order_does_not_depend_on_which_side_is_slow() -> None:
    def slow_read(key: int) -> int:
        time.sleep(0.02 * (key % 2))
        return key

    assert list(one_by_one(slow_read, range(6))) == list(range(6))
    found = []
    for item in one_by_one(lambda key: key, range(6)):
        time.sleep(0.02 * (item % 2))
        found.append(item)
    assert found == list(range(6))


def test_the_next_item_is_read_while_one_is_used() -> None:
    reached = threading.Event()

    def read(key: int) -> int:
        if key == 1:
            reached.set()
        return key

    items = one_by_one(read, range(3))
    assert next(items) == 0
    assert reached.wait(3)
    assert list(items) == [1, 2]


def test_a_group_is_as_much_as_is_worth_a_pass_however_much_is_ready() -> None:
    begun: list[int] = []

    def read(key: int) -> int:
        begun.append(key)
        return key

    groups = ReadAhead(read, range(7), weight=lambda _: 10, worth=20, most=1000)
    assert eventually(lambda: len(begun) == 7)
    assert list(groups) == [[0, 1], [2, 3], [4, 5], [6]]


def test_a_group_waits_for_what_is_worth_a_pass() -> None:
    gate = threading.Event()

    def read(key: int) -> int:
        assert key < 1 or gate.wait(10)
        return key

    groups = ReadAhead(read, range(3), weight=lambda _: 10, worth=20, most=1000)
    first = in_thread(lambda: next(groups))
    assert not first.done()
    gate.set()
    assert first.result(10) == [0, 1]
    assert next(groups) == [2]


def test_what_is_left_is_a_group_whatever_it_weighs() -> None:
    assert list(ReadAhead(lambda key: key, range(3), weight=lambda _: 1, worth=1000, most=1000)) == [[0, 1, 2]]
    assert list(ReadAhead(lambda key: key, [], worth=1000)) == []


def test_reading_pauses_where_enough_is_waiting() -> None:
    begun: list[int] = []

    def read(key: int) -> int:
        begun.append(key)
        return key

    groups = ReadAhead(read, range(9), weight=lambda _: 10, worth=10, most=25)
    assert eventually(lambda: len(begun) == 3)
    assert next(groups) == [0]
    assert eventually(lambda: len(begun) == 4)
    assert [item for group in groups for item in group] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_one_item_is_read_ahead_and_no_more() -> None:
    begun: list[int] = []

    def read(key: int) -> int:
        begun.append(key)
        return key

    items = one_by_one(read, range(5))
    assert next(items) == 0
    assert eventually(lambda: begun == [0, 1])
    assert next(items) == 1
    assert eventually(lambda: begun == [0, 1, 2])
    assert list(items) == [2, 3, 4]


def gated(keys: int) -> tuple[Callable[[int], int], list[threading.Event], list[int]]:
    """A read of numbers that waits at the gate of each, the gates, and the numbers that have begun to be read."""
    gates = [threading.Event() for _ in range(keys)]
    begun: list[int] = []

    def read(key: int) -> int:
        begun.append(key)
        assert gates[key].wait(10)
        return key

    return read, gates, begun


def test_items_that_are_read_side_by_side_come_in_their_order() -> None:
    read, gates, begun = gated(6)
    items = ReadAhead(read, range(6), weight=lambda _: 10, worth=10, most=1000, abreast=2)
    assert eventually(lambda: sorted(begun) == [0, 1])
    gates[1].set()
    assert eventually(lambda: sorted(begun) == [0, 1])
    gates[0].set()
    assert eventually(lambda: sorted(begun) == [0, 1, 2, 3])
    for gate in gates:
        gate.set()
    assert [item for group in items for item in group] == list(range(6))


def test_no_more_is_read_side_by_side_than_can_wait() -> None:
    read, gates, begun = gated(6)
    items = ReadAhead(read, range(6), weight=lambda _: 10, worth=10, most=15, abreast=3)
    # What the first ones weigh is not known before.
    assert eventually(lambda: sorted(begun) == [0, 1, 2])
    for gate in gates[:3]:
        gate.set()
    # Two wait, which is more than can; the third is there, too, and nothing else begins.
    assert eventually(lambda: not reader_threads() and sorted(begun) == [0, 1, 2])
    assert next(items) == [0]
    for gate in gates:
        gate.set()
    assert [item for group in items for item in group] == [1, 2, 3, 4, 5]


def test_an_error_beside_another_item_comes_where_its_item_would() -> None:
    def read(key: int) -> int:
        if key == 1:
            raise ValueError("broken")
        return key

    items = ReadAhead(read, range(3), abreast=3)
    assert next(items) == [0]
    with pytest.raises(ValueError, match="broken"):
        next(items)
    assert list(items) == []


def test_the_first_item_is_begun_at_once_and_nothing_else() -> None:
    begun: list[int] = []
    ReadAhead(lambda key: begun.append(key), range(3))
    assert eventually(lambda: begun == [0])


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_surfaces_where_its_item_would(error: BaseException) -> None:
    def read(key: int) -> int:
        if key == 2:
            raise error
        return key

    before = reader_threads()
    items = one_by_one(read, range(5))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(type(error)) as raised:
        next(items)
    assert raised.value is error
    assert list(items) == []
    assert ended(reader_threads() - before)


def test_an_error_of_the_first_item_surfaces_at_once() -> None:
    def read(_: object) -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        next(one_by_one(read, range(5)))


def test_an_error_of_the_keys_surfaces_and_nobody_waits_for_ever() -> None:
    def keys() -> Iterator[int]:
        yield 1
        raise ValueError("no more keys")

    found: list[object] = []

    def consume() -> None:
        try:
            found.extend(one_by_one(lambda key: key, keys()))
        except ValueError as error:
            found.append(str(error))

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    consumer.join(3)
    assert not consumer.is_alive()
    assert found == [1, "no more keys"]


def test_an_item_that_is_nothing_is_an_item() -> None:
    assert list(one_by_one(lambda key: key or None, [1, 0, 2])) == [1, None, 2]


def test_a_reader_that_is_left_alone_stops() -> None:
    before = reader_threads()
    read: list[int] = []

    def note(key: int) -> int:
        read.append(key)
        return key

    items = one_by_one(note, range(1000))
    assert next(items) == 0
    started = reader_threads() - before
    assert len(started) <= 2
    assert all(thread.daemon for thread in started)
    assert ended(started)
    assert len(read) < 10


def test_a_reader_stops_where_its_user_fails() -> None:
    before = reader_threads()

    def use() -> None:
        for item in one_by_one(lambda key: key, range(1000)):
            if item == 3:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert ended(reader_threads() - before)


LOADED = """
import atexit, json, os, sys, threadpoolctl
from candlemill.pipeline import __main__

end_at_once = os._exit

def end(code):
    pools = {pool["internal_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    print(json.dumps({"pools": pools, "loaded": sorted({"pandas", "polars"} & set(sys.modules))}))
    sys.stdout.flush()
    end_at_once(code)

os._exit = end
__main__.main()
"""


def test_a_command_keeps_blas_to_one_thread_and_loads_no_library_of_tables(
    golden_url: Callable[[Path], str], tmp_path: Path
) -> None:
    case = goldens.HERE / "synth_core"
    words = ["run", "--source", golden_url(case), "--as-of", goldens.description(case)["as_of"], "--symbols", "all"]
    program = [sys.executable, "-c", LOADED, *words, "--intervals", "5m", "--sqlite", "r.db", "--duckdb", "w.duckdb"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pools"]["openblas"] == 1
    assert found["loaded"] == []


def test_the_library_leaves_its_host_as_it_is() -> None:
    told = (
        "import os, sys; import candlemill; candlemill.compute; "
        "print('OPENBLAS_NUM_THREADS' in os.environ, any('candlemill' in repr(finder) for finder in sys.meta_path))"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize("items", [0, 1, 1000])
def test_what_arrives_comes_in_its_order_to_each_that_goes_through_it(items: int) -> None:
    arriving: Arriving[int] = Arriving()
    first, second = (in_thread(lambda: list(arriving)) for _ in range(2))
    for item in range(items):
        arriving.add(item)
    arriving.end()
    # One that comes late, or begins anew, gets all of it at once.
    late = list(arriving)
    assert late == ([list(range(items))] if items else [])
    for lists in (first.result(), second.result()):
        assert [item for part in lists for item in part] == list(range(items))
        assert all(lists)


def test_an_error_at_the_end_comes_to_each_that_waits() -> None:
    arriving: Arriving[int] = Arriving()
    arriving.add(1)
    waiting = [in_thread(lambda: list(arriving)) for _ in range(2)]
    arriving.end(ValueError("no more will come"))
    for each in waiting:
        with pytest.raises(ValueError, match="no more will come"):
            each.result()
