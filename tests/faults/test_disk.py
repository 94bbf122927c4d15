"""A disk that is full, or a file that is none of ours: the run says so, and what was there is there afterwards."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from candlemill.indicators.registry import INDICATORS
from tests.conftest import Ran, dump_of
from tests.faults.passes import Place, newest_of, shown, sound

if TYPE_CHECKING:
    from collections.abc import Callable


def limited(size: int) -> Callable[[], None]:
    """Makes a child's files end at a size, as a full disk would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def contents(place: Place) -> tuple[Any, bytes, list[str]]:
    return dump_of(place.database), place.work.read_bytes(), place.strays()


def one_line(ran: Ran) -> str:
    """The last line of a run that must have refused to write."""
    assert ran.code == 4, ran.err
    assert "Traceback" not in ran.err
    assert ran.last.startswith("candlemill: ")
    return ran.last


@pytest.mark.parametrize(
    ("size", "file"),
    # SQLite's shared memory takes 32 KiB, and the result database is looked at first.
    [(1, "result.db"), (20_000, "result.db"), (200_000, "work.duckdb"), (500_000, "work.duckdb"),
     (1_000_000, "work.duckdb")],
)  # fmt: skip
def test_no_room_for_a_file(size: int, file: str, place: Place) -> None:
    before = contents(place)
    message = one_line(place.run(1, preexec_fn=limited(size)))
    assert f"{file} cannot be written" in message
    assert "space" in message
    assert contents(place) == before


#: Begins a process that may mount what no other process sees.
MOUNTING = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount"]


def tmpfs_allowed() -> bool:
    words = [*MOUNTING, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


on_small_disk = pytest.mark.skipif(
    shutil.which("unshare") is None or not tmpfs_allowed(), reason="this machine lets nobody mount a small disk"
)


def run_on_small_disk(place: Place, which: str, room: int) -> Ran:
    """A run whose result database or work file lies on a disk with so many KiB of room left.

    The disk ends with the run; its files are then in the place again.
    """
    name = {"sqlite": "result.db", "duckdb": "work.duckdb"}[which]
    size = -(-(place.folder / name).stat().st_size // 4096) * 4 + room
    words = shlex.join(place.words(1, f"--{which}", f"small/{name}"))
    script = (
        f"mkdir small; mount -t tmpfs -o size={size}k none small && mv {name} small/ && {words}; code=$?;"
        f" mv small/* small/.candlemill-* . 2> /dev/null; umount small; rmdir small; exit $code"
    )
    done = subprocess.run(
        [*MOUNTING, "sh", "-c", script],
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@on_small_disk
@pytest.mark.parametrize(
    ("which", "room"), [("sqlite", 0), ("sqlite", 60), ("sqlite", 300), ("duckdb", 0), ("duckdb", 900)]
)
def test_a_full_disk_leaves_the_run_before(which: str, room: int, place: Place) -> None:
    before = contents(place)
    message = one_line(run_on_small_disk(place, which, room))
    assert {"sqlite": "result.db", "duckdb": "work.duckdb"}[which] in message
    assert "disk" in message or "free some space" in message
    assert sound(place.database)
    assert contents(place) == before
    assert place.run(1).code == 0
    assert set(shown(place.database).values()) == {newest_of(1)}


def test_a_work_file_that_cannot_be_published_after_the_commit_is_told_in_the_record(place: Place) -> None:
    with closing(sqlite3.connect(place.database, isolation_level=None)) as lock, place.begin(1, "--json") as child:
        lock.execute("BEGIN IMMEDIATE")
        assert child.stderr is not None
        assert next((line for line in child.stderr if "locked by another process" in line), None)
        place.work.unlink()
        place.work.mkdir()
        lock.execute("ROLLBACK")
        out, err = child.communicate(timeout=60)
    ran = Ran(child.returncode, out, err)
    assert ran.code == 0, ran.err
    assert "the results are written, but the work file" in ran.err
    [error] = ran.record["errors"]
    assert error["message"].startswith("the work file was not written: the work file ")
    assert " is a directory: " in error["message"]
    assert set(shown(place.database).values()) == {newest_of(1)}
    assert place.strays() == []


# -- files that are none of ours


#: Begins a process to which the rights of files apply, as they do to everybody but root.
RIGHTS_APPLY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

needs_rights = pytest.mark.skipif(
    bool(RIGHTS_APPLY) and shutil.which("setpriv") is None, reason="nothing here takes root's rights away"
)


def refused_for_rights(place: Place) -> str:
    words = [*RIGHTS_APPLY, *place.words(1)]
    done = subprocess.run(words, cwd=place.folder, capture_output=True, text=True, check=False)
    return one_line(Ran(done.returncode, done.stdout, done.stderr))


@needs_rights
def test_a_read_only_result_database_is_refused(place: Place) -> None:
    place.database.chmod(0o444)
    before = contents(place)
    assert "result.db cannot be written: make it and its folder writable" in refused_for_rights(place)
    assert contents(place) == before


@needs_rights
def test_a_folder_where_nothing_can_be_written_is_refused(place: Place) -> None:
    before = contents(place)
    place.folder.chmod(0o555)
    assert "folder writable" in refused_for_rights(place)
    place.folder.chmod(0o755)
    assert contents(place) == before


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002, 0])
def test_files_are_made_with_the_mask_of_the_user(mask: int, place: Place) -> None:
    place.database.unlink()
    place.work.unlink()
    assert place.run(1, umask=mask).code == 0
    assert place.database.stat().st_mode & 0o777 == 0o666 & ~mask
    assert place.work.stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_a_truncated_result_database_is_refused_or_whole(share: float, place: Place) -> None:
    body = place.database.read_bytes()
    place.database.write_bytes(body[: int(len(body) * share)])
    before = place.database.read_bytes()
    message = one_line(place.run(1))
    assert "result.db is damaged" in message or "is not an SQLite database" in message
    assert "move it away" in message or "move this one away" in message
    assert place.database.read_bytes() == before
    assert place.strays() == []


def test_a_result_database_of_another_application_is_left_alone(place: Place) -> None:
    table = INDICATORS["macd"].table
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute(f'DROP TABLE "{table}"')
        connection.execute(f'CREATE TABLE "{table}" (id INTEGER PRIMARY KEY, note TEXT)')
        connection.execute(f"INSERT INTO \"{table}\" (note) VALUES ('mine')")
    before = contents(place)
    message = one_line(place.run(1))
    assert table in message
    assert "belongs to something else" in message
    assert contents(place) == before
