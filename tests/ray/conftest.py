"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.long.test_backfill import lives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The least that Ray takes for the object store of a node.
OBJECTS = 80 << 20


@dataclass
class Cluster:
    """A head without processors, and nodes of one processor each."""

    running: Any
    nodes: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        found: str = self.running.address
        return found

    def add(self) -> None:
        """One more node. Ray gives one up that a busy machine does not start within seconds."""
        for attempt in range(5):
            try:
                self.nodes.append(self.running.add_node(num_cpus=1, object_store_memory=OBJECTS))
                return
            except Exception:
                if attempt == 4:
                    raise

    def tasks(self) -> list[int]:
        """Processes that have a task of a backfill."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1] if entry.name.isdigit() else ""
                title = (entry / "cmdline").read_bytes().decode(errors="replace") if parent else ""
            except (FileNotFoundError, ProcessLookupError):
                continue
            if title.startswith(("ray::5m-", "ray::1h-")) and int(parent) in map(raylet_of, self.nodes):
                found.append(int(entry.name))
        return found

    def lose(self, number: int) -> None:
        """Kill a node with all that it does, as when its machine is lost."""
        node = self.nodes.pop(number)
        raylet = raylet_of(node)
        crew = [process for process in self.tasks() if parent_of(process) == raylet]
        self.running.remove_node(node, allow_graceful=False)
        for process in crew:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(map(lives, crew)):
            time.sleep(0.01)


def raylet_of(node: Any) -> int:
    [raylet] = node.all_processes["raylet"]
    found: int = raylet.process.pid
    return found


def parent_of(process: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@pytest.fixture(scope="session")
def cluster() -> Iterator[Callable[[int], Cluster]]:
    """The cluster of the session, with so many nodes as are asked for."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster as Running

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": OBJECTS}
    made = Cluster(Running(initialize_head=True, head_node_args=head))

    def having(nodes: int) -> Cluster:
        while len(made.nodes) < nodes:
            made.add()
        return made

    try:
        yield having
    finally:
        made.running.shutdown()
