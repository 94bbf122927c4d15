"""Threads beside the computation."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from pipeline.readahead import in_thread, read_ahead


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
def test_a_thread_beside_the_computation_steps_back_and_the_computation_does_not() -> None:
    before = niceness()
    assert in_thread(niceness).result() == max(before, 10)
    assert list(read_ahead(lambda _: niceness(), [1, 2])) == [max(before, 10)] * 2
    assert niceness() == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
def test_a_process_that_steps_back_further_stays_there() -> None:
    told = (
        "import os, threading; from pipeline.readahead import in_thread; os.nice(15); "
        "print(in_thread(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())).result())"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) >= 15
