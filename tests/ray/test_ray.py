"""A backfill on a Ray cluster has the files of one on this machine, whatever is killed meanwhile."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.long.test_backfill import begun, check_readable, done, ended, url, whole
from tests.long.test_backfill_tasks import contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ray.conftest import Cluster

__all__ = ["url", "whole"]

#: How much is killed; a clean clone is content with 3.
KILLS = int(os.environ.get("CANDLEMILL_RAY_KILLS", "20"))
NODES = 3 if KILLS > 3 else 2
#: What is killed: one of each, then as it comes.
VICTIMS = ["a task", "a node", "the driver"]
VICTIMS += random.choices(VICTIMS, k=max(0, KILLS - len(VICTIMS)))


def test_whatever_is_killed_the_files_are_those_of_this_machine_alone(
    url: str, whole: dict[str, bytes], cluster: Callable[[int], Cluster], tmp_path: Path
) -> None:
    ray, killed = cluster(NODES), 0
    # One backfill after the other, until as much was killed as is to be.
    while killed < KILLS:
        place = tmp_path / f"{killed}"
        place.mkdir()
        killed += disturbed(url, place, ray, VICTIMS[killed:KILLS], whole)


def disturbed(url: str, place: Path, ray: Cluster, victims: list[str], whole: dict[str, bytes]) -> int:
    """A backfill during which victims are killed, until it is done; how many were. Its files are those of ``whole``."""
    root, killed = place / "history", 0
    total = sum(name.startswith("_tasks") for name in whole)
    child, on_ray = begun(url, place, "--engine", "ray", "--address", ray.address), True
    while killed < len(victims):
        # As a machine is lost while others compute: at a random moment between two tasks, or within one.
        wanted = min(total - 1, len(done(root)) + random.randint(0, 1 + total // KILLS))
        while child.poll() is None and (len(done(root)) < wanted or (on_ray and not ray.tasks())):
            time.sleep(0.005)
        time.sleep(random.random() / 10)
        if child.poll() is not None:
            break
        victim = victims[killed] if on_ray else "the driver"
        running = ray.tasks()
        if victim == "a task" and not running:
            continue
        if victim == "a task":
            with suppress(ProcessLookupError):
                os.kill(random.choice(running), signal.SIGKILL)
                killed += 1
        elif victim == "a node":
            ray.lose(random.randrange(NODES))
            ray.add()
            killed += 1
        else:
            child.kill()
            ended(child)
            killed += 1
            on_ray = not on_ray if KILLS > 3 else True
            words = ["--engine", "ray", "--address", ray.address] if on_ray else ["--workers", "2"]
            child = begun(url, place, *words)
        check_readable(root)
    ended(child)
    # Whatever is left of it is done by the other engine.
    code, err = ended(begun(url, place))
    assert code == 0, err
    assert contents(root) == whole
    return killed


def test_ctrl_c_leaves_what_is_done_and_the_same_command_goes_on(
    url: str, whole: dict[str, bytes], cluster: Callable[[int], Cluster], tmp_path: Path
) -> None:
    ray = cluster(NODES)
    words = ("--engine", "ray", "--address", ray.address)
    child = begun(url, tmp_path, *words)
    while child.poll() is None and not done(tmp_path / "history"):
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    code, err = ended(child)
    assert code == 130, err
    kept = done(tmp_path / "history")
    assert 0 < len(kept) < sum(name.startswith("_tasks") for name in whole)
    check_readable(tmp_path / "history")
    code, err = ended(begun(url, tmp_path, *words))
    assert code == 0, err
    assert kept < done(tmp_path / "history")
    assert contents(tmp_path / "history") == whole
