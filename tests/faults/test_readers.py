"""Readers never wait and never see a part of a run; writers wait for each other, or say why they gave up."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import dump_of
from tests.faults.passes import Place, newest_of, rows_in, shown, sound

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@contextmanager
def reading(place: Place) -> Iterator[dict[str, Any]]:
    """A reader at work; what it saw is there when the block has ended."""
    words = [sys.executable, "-m", "tests.faults.reader", str(place.database)]
    seen: dict[str, Any] = {}
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "reading\n"
        yield seen
        out, _ = child.communicate(timeout=60)
        seen.update(json.loads(out.splitlines()[-1]))


def test_a_reader_never_waits_and_never_sees_a_part_of_a_run(place: Place) -> None:
    steps = range(1, 7)
    with reading(place) as seen:
        for step in steps:
            ran = place.run(step)
            assert ran.code == 0, ran.err
    assert seen["errors"] == []
    assert set(seen["seen"]) <= {newest_of(step) for step in (0, *steps)}
    assert len(seen["seen"]) >= len(steps)
    assert seen["looks"] > 10 * len(steps)


def test_readers_go_on_while_a_run_gives_up_on_a_lock(place: Place) -> None:
    with reading(place) as seen, closing(sqlite3.connect(place.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ran = place.run(1, "--lock-timeout", "1")
        assert ran.code == 4
        assert "stayed locked for 1 s" in ran.last
        assert "--lock-timeout" in ran.last
    assert seen["errors"] == []
    assert seen["seen"] == [newest_of(0)]
    # A lock that the run had left behind would show now.
    with closing(sqlite3.connect(place.database, timeout=0)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    assert place.strays() == []


@pytest.fixture
def old(first: Place, tmp_path: Path) -> Place:
    """The files of a program that knew no write-ahead log."""
    return first.copy(tmp_path / "old", "delete")


def test_a_file_in_rollback_mode_is_switched_before_anything_is_written(old: Place) -> None:
    assert old.run(1).code == 0
    assert old.database.read_bytes()[18:20] == b"\x02\x02"
    assert set(shown(old.database).values()) == {newest_of(1)}


def test_the_switch_leaves_nothing_that_a_reader_would_have_to_roll_back(old: Place) -> None:
    """Killed between the two writes of a rollback journal, a run would shut out everybody who may only read."""
    journal, seen = old.folder / "result.db-journal", old.folder / "seen"
    journal.touch()
    # SQLite writes into an empty journal that it finds, and removes it in the end: only by this name is it still there.
    seen.hardlink_to(journal)
    assert old.run(1).code == 0
    assert old.database.read_bytes()[18:20] == b"\x02\x02"
    assert seen.read_bytes() == b""


def test_a_reader_that_keeps_a_file_in_rollback_mode_is_waited_for_and_shuts_nobody_out(old: Place) -> None:
    """A commit that such a reader makes fail would leave a lock, which keeps every new reader away."""
    count = "SELECT count(*) FROM sqlite_master"
    with closing(sqlite3.connect(f"file:{old.database}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        tables = reader.execute(count).fetchone()
        with old.begin(1) as child:
            assert child.stderr is not None
            assert next((line for line in child.stderr if "locked by another process" in line), None)
            for _ in range(50):
                with closing(sqlite3.connect(f"file:{old.database}?mode=ro", uri=True, timeout=0)) as other:
                    assert other.execute(count).fetchone() == tables
                time.sleep(0.02)
            reader.execute("COMMIT")
            _, err = child.communicate(timeout=60)
        assert child.returncode == 0, err
    assert old.database.read_bytes()[18:20] == b"\x02\x02"
    assert set(shown(old.database).values()) == {newest_of(1)}


def test_a_run_that_cannot_switch_the_file_says_so_and_leaves_it(old: Place) -> None:
    before = old.database.read_bytes()
    with closing(sqlite3.connect(f"file:{old.database}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        ran = old.run(1, "--lock-timeout", "0.5")
        assert ran.code == 4
        assert "end the process that holds it" in ran.last
        with closing(sqlite3.connect(f"file:{old.database}?mode=ro", uri=True, timeout=0)) as other:
            other.execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert old.database.read_bytes() == before


def test_what_a_failed_run_leaves_of_the_log_bothers_no_reader_and_no_writer(place: Place) -> None:
    before = dump_of(place.database)
    with closing(sqlite3.connect(place.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        assert place.run(1, "--lock-timeout", "0").code == 4
    # The look before the run leaves an empty log where it is the last to close; whoever comes next uses or removes it.
    assert place.run(1, "--source", "postgresql://nobody@127.0.0.1:1/none").code == 3
    assert dump_of(place.database) == before
    with closing(sqlite3.connect(place.database, timeout=0)) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    assert place.run(1).code == 0
    assert sound(place.database)


def test_two_runs_at_once_are_written_one_after_the_other(first: Place, tmp_path: Path) -> None:
    both = []
    for number, steps in enumerate([(1, 2), (2, 1)]):
        alone = first.copy(tmp_path / f"alone{number}")
        for step in steps:
            assert alone.run(step).code == 0
        both.append(rows_in(alone.database))
    assert both[0] == both[1]
    for number in range(3):
        place = first.copy(tmp_path / f"together{number}")
        with place.begin(1) as one, place.begin(2) as other:
            for child in (one, other):
                _, err = child.communicate(timeout=60)
                assert child.returncode == 0, err
        assert rows_in(place.database) == both[0]
        assert set(shown(place.database).values()) == {newest_of(2)}
        assert sound(place.database)
        assert place.strays() == []
