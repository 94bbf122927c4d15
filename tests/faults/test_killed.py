"""A run that is killed at any moment leaves the run before it or itself, whole, and is in nobody's way."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.conftest import dump_of
from tests.faults.passes import Place, newest_of, newest_rows, shown, sound

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("CANDLEMILL_KILLED_RUNS", "30"))


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_killed_run_leaves_all_tables_of_one_run(journal: str, first: Place, tmp_path: Path) -> None:
    whole = first.copy(tmp_path / "whole", journal)
    start = time.monotonic()
    assert whole.run(1).code == 0
    length = time.monotonic() - start
    before, after = dump_of(first.database), dump_of(whole.database)
    assert before != after
    # Half of the moments lie anywhere in a run, half in its last third, where files are written.
    rng = random.Random(60)
    moments = [rng.uniform(0, length) for _ in range(KILLS // 2)]
    moments += [rng.uniform(length * 0.65, length * 1.05) for _ in range(KILLS // 2)]

    def killed(number: int) -> str:
        place = first.copy(tmp_path / f"{journal}{number}", journal)
        with place.begin(1) as child:
            time.sleep(moments[number])
            child.send_signal(signal.SIGKILL)
            child.communicate()
        seen = set(shown(place.database).values())
        assert len(seen) == 1, f"killed after {moments[number]:.2f} s: {shown(place.database)}"
        found = dump_of(place.database)
        assert found in (before, after), f"killed after {moments[number]:.2f} s"
        assert sound(place.database)
        ran = place.run(2)
        assert ran.code == 0, ran.err
        assert set(shown(place.database).values()) == {newest_of(2)}
        assert sound(place.database)
        assert place.strays() == []
        return seen.pop()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen = set(pool.map(killed, range(KILLS)))
    # Not all of them came too early.
    assert newest_of(0) in seen
    assert seen <= {newest_of(0), newest_of(1)}


def test_the_folder_of_a_killed_run_is_removed_and_that_of_a_living_one_stays(place: Place) -> None:
    # A reader keeps the database open, as the real ones do. The first to open it locks everybody out for a moment, and
    # a run that is stopped in it would do so until it goes on.
    with closing(sqlite3.connect(place.database)) as reader:
        newest_rows(reader)
        for _ in range(2):
            with place.begin(1) as child:
                # Not as soon as there is a folder: while it is made, everybody else waits.
                while child.poll() is None and not list(place.folder.glob(".candlemill-*/work.duckdb")):
                    time.sleep(0.001)
                child.send_signal(signal.SIGSTOP)
                living = place.strays()
                assert [name[:12] for name in living] == [".candlemill-"]
                assert place.run(1).code == 0
                assert place.strays() == living
                child.send_signal(signal.SIGKILL)
                child.communicate()
            assert place.strays() == living
            assert place.run(1).code == 0
            assert place.strays() == []
