"""A backfill that is killed, interrupted or out of room leaves what is done, and the same command goes on with it."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from bench.market import NOW, Scale, make_market
from candlemill.pipeline.demo.market import current_minute, load_market
from candlemill.pipeline.source.schema import init_db
from tests.conftest import CANDLEMILL, listening
from tests.long.test_backfill_tasks import CASE, FEW, contents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server

#: How many times a backfill is killed; many for whoever looks for more.
KILLS = int(os.environ.get("CANDLEMILL_KILLS", "2"))
WORDS = [
    "backfill", "--from", "2026-01-22T08:00", "--to", "2026-01-22T09:00", "--symbols", "all", "--intervals", "5m,1h",
    "--indicators", FEW, "--output", "history", "--workers", "1",
]  # fmt: skip
#: The command, with tasks of a few symbols each.
MANY_TASKS = """
from candlemill.pipeline.__main__ import main
from candlemill.pipeline.backfill import plan
plan.MOST_BARS = 3000
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def url(golden_url: Callable[[Path], str]) -> str:
    return golden_url(CASE)


def begun(url: str, place: Path, *more: str, **how: Any) -> subprocess.Popen[str]:
    """The command in a group of its own."""
    script = place / "many.py"
    script.write_text(MANY_TASKS)
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"DATABASE_URL": url}
    return subprocess.Popen(
        [sys.executable, str(script), *WORDS, *more], cwd=place, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **how,
    )  # fmt: skip


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = child.communicate(timeout=300)
    return child.returncode, err


@pytest.fixture(scope="module")
def whole(url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a backfill that nobody disturbs."""
    place = tmp_path_factory.mktemp("whole")
    code, err = ended(begun(url, place))
    assert code == 0, err
    return contents(place / "history")


def done(root: Path) -> set[str]:
    return {file.name for file in (root / "_tasks").glob("[!.]*")}


def check_readable(root: Path) -> None:
    """Whatever has its name is whole."""
    for file in root.glob("[!_]*/interval=*/[!.]*.parquet"):
        pq.ParquetFile(file).read()


def lives(process: int) -> bool:
    """Whether a process is there; one that nobody has asked for its exit code is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def workers_of(child: subprocess.Popen[str]) -> list[int]:
    """The processes that compute for it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            words = (entry / "cmdline").read_text() if fields and int(fields[1]) == child.pid else ""
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "spawn_main" in words:
            found.append(int(entry.name))
    return found


def test_one_that_is_killed_goes_on_and_has_the_same_files(url: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "history"
    total = sum(name.startswith("_tasks") for name in whole)
    assert total > 10
    for _ in range(KILLS):
        child = begun(url, tmp_path, "--workers", "2")
        # At a random moment between two tasks, or within one.
        wanted = min(total, len(done(root)) + random.randint(0, 1 + total // KILLS))
        while child.poll() is None and len(done(root)) < wanted:
            time.sleep(0.005)
        time.sleep(random.random() / 10)
        crew = workers_of(child)
        child.kill()
        ended(child)
        for process in crew:
            # They end with the one that started them, sooner or later, on their own.
            while lives(process):
                time.sleep(0.01)
        check_readable(root)
    code, err = ended(begun(url, tmp_path))
    assert code == 0, err
    assert contents(root) == whole


def test_one_that_is_told_to_end_leaves_what_is_done(url: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "history"
    child = begun(url, tmp_path)
    listening(child)
    while not done(root):
        assert child.poll() is None
        time.sleep(0.005)
    crew = workers_of(child)
    # As a terminal does it: all processes get the signal.
    os.killpg(child.pid, signal.SIGINT)
    code, err = ended(child)
    assert code == 130
    assert err.strip().endswith("what is done stays: give the same command again to go on")
    assert "Traceback" not in err
    assert not any(map(lives, crew))
    left = contents(root)
    # The manifest is of the beginning; a draft is what somebody was about to write.
    finished = {name: content for name, content in left.items() if not Path(name).name.startswith((".", "_manifest"))}
    assert finished.items() <= whole.items()
    code, err = ended(begun(url, tmp_path))
    assert code == 0, err
    assert contents(root) == whole


def test_a_process_that_is_killed_costs_its_task_an_attempt(url: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    child = begun(url, tmp_path)
    while not (crew := workers_of(child)) and child.poll() is None:
        time.sleep(0.005)
    os.kill(crew[0], signal.SIGKILL)
    code, err = ended(child)
    assert code == 0, err
    assert err.count("failed, trying again: its process ended with -9") == 1
    assert contents(tmp_path / "history") == whole


def test_a_disk_without_room_leaves_what_is_done(url: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "history"
    sizes = sorted(len(content) for name, content in whole.items() if not name.startswith("_"))
    # Room for some of the files.
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (sizes[len(sizes) // 2], resource.RLIM_INFINITY))
    code, err = ended(begun(url, tmp_path, preexec_fn=limited))
    assert code == 4
    assert "cannot be written" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    check_readable(root)
    assert not list(root.rglob(".*"))
    code, err = ended(begun(url, tmp_path))
    assert code == 0, err
    assert contents(root) == whole


def test_a_mixed_cluster_is_told_what_it_differs_in(url: str, tmp_path: Path) -> None:
    assert ended(begun(url, tmp_path))[0] == 0
    root = tmp_path / "history"
    first, *_ = sorted((root / "_tasks").glob("*.json"))
    record = json.loads(first.read_text())
    record["computed_by"]["numpy"] = "0.1"
    first.write_text(json.dumps(record))
    code, err = ended(begun(url, tmp_path))
    assert code == 0, err
    assert "machines of 2 kinds, which differ in numpy" in err
    assert len(json.loads((root / "_manifest.json").read_text())["computed_by"]) == 2


def test_the_command_alone_fills_the_result_database_of_a_run(server: Server, tmp_path: Path) -> None:
    url = server.database("filled")
    init_db(url)
    load_market(url, current_minute())
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "INDICATOR_SQLITE_PATH": "mine.db"}
    for words, name in ((["--sqlite", "--indicators", "kdj"], "mine.db"), (["--sqlite", "other.db"], "other.db")):
        ran = subprocess.run(
            [str(CANDLEMILL), "backfill", *words, "--intervals", "1d"], cwd=tmp_path, env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.endswith(f"rows written into {name}\n")
        assert (tmp_path / name).exists()


#: The command, with tasks of a few thousand bars each.
OF_SOME_BARS = MANY_TASKS.replace("3000", "10_000")
LAUNCH = Path(__file__).parents[2] / "bench" / "launch.py"


@pytest.mark.usefixtures("lanes")
def test_memory_does_not_grow_with_the_range(server: Server, tmp_path: Path) -> None:
    url, script, usage = server.database("long"), tmp_path / "some.py", tmp_path / "usage.json"
    script.write_text(OF_SOME_BARS)
    make_market(url, Scale(1, ("1m",)), bars=73_000)
    peaks = []
    for bars in (10_000, 70_000):
        words = ["backfill", "--from", (NOW - timedelta(minutes=bars)).isoformat(), "--to", NOW.isoformat()]
        words += ["--symbols", "all", "--intervals", "1m", "--workers", "1", "--output", f"of-{bars}"]
        ran = subprocess.run(
            [sys.executable, "-I", str(LAUNCH), str(usage), sys.executable, str(script), *words], cwd=tmp_path,
            env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert len(done(tmp_path / f"of-{bars}")) >= bars // 10_000
        peaks.append(json.loads(usage.read_text())["max_rss_mb"])
    assert peaks[1] < 1.2 * peaks[0]
