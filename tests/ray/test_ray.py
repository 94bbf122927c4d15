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

#: How much is killed; whoever has a quarter of an hour takes 20.
KILLS = int(os.environ.get("CANDLEMILL_RAY_KILLS", "3"))
NODES = 3 if KILLS > 3 else 2


def test_whatever_is_killed_the_files_are_those_of_this_machine_alone(
    url: str, whole: dict[str, bytes], cluster: Callable[[int], Cluster], tmp_path: Path
) -> None:
    root, ray = tmp_path / "history", cluster(NODES)
    total = sum(name.startswith("_tasks") for name in whole)
    victims = ["a task", "a node", "the driver"] * (1 + KILLS // 3)
    child, on_ray = begun(url, tmp_path, "--engine", "ray", "--address", ray.address), True
    for number, victim in enumerate(victims[:KILLS]):
        if number >= len(victims[:3]):
            victim = random.choice(victims)
        # As a machine is lost while others compute: at a random moment between two tasks, or within one.
        wanted = min(total, len(done(root)) + random.randint(0, 1 + total // KILLS))
        while child.poll() is None and (len(done(root)) < wanted or (on_ray and not ray.tasks())):
            time.sleep(0.005)
        time.sleep(random.random() / 10)
        if victim == "a task" and on_ray:
            with suppress(ProcessLookupError, IndexError):
                os.kill(random.choice(ray.tasks()), signal.SIGKILL)
        elif victim == "a node" and on_ray:
            ray.lose(random.randrange(NODES))
            ray.add()
        else:
            child.kill()
        check_readable(root)
        if child.poll() is not None or victim == "the driver":
            ended(child)
            on_ray = not on_ray if KILLS > 3 else True
            words = ["--engine", "ray", "--address", ray.address] if on_ray else ["--workers", "2"]
            child = begun(url, tmp_path, *words)
    ended(child)
    # Whatever is left of it is done by the other engine.
    code, err = ended(begun(url, tmp_path))
    assert code == 0, err
    assert contents(root) == whole
