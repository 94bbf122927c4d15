"""The engine ``ray``: tasks on a Ray cluster, or on a Ray of this machine that lasts as long as the backfill.

Ray says where a task runs, and that it has ended or was lost. Bars reach a task by the store, and its files leave it
so: between machines go the task, which is some text, and its record.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..base import ending
from ..base.errors import SinkError, UsageError, shortened
from .attempts import Failure, attempt, attempted
from .store import opened
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from .attempts import Done
    from .store import Store
    from .task import Record

log = logging.getLogger(__name__)

#: Bytes that a task may need, and that a node has to have for each it gets.
MEMORY = 700 << 20
#: Tasks in flight for each processor, so that a node that is done with one has the next.
_AHEAD = 2
#: Bytes of the object store of a Ray of this machine: nothing large is put into one; less Ray does not take.
_OBJECTS = 80 << 20
#: Seconds after which it is asked again how many processors there are, and whether something has ended.
_AGAIN = 5.0


def perform_all(
    tasks: Iterable[Task],
    store: Store,
    workers: int,
    *,
    address: str | None = None,
    lanes: bool = False,
    verify: int = 0,
) -> Generator[Done]:
    """Compute tasks by Ray, as they end. A task that fails is tried again, some times, elsewhere if it can be.

    Args:
        tasks: taken one by one, whenever fewer than twice as many as there are processors are in flight.
        store: see ``perform``; all nodes reach it.
        workers: processors of a Ray of this machine; a cluster has its own.
        address: of a cluster, ``HOST:PORT`` or ``auto``; None: a Ray of this machine is started.
        lanes: see ``perform``.
        verify: see ``perform``.

    Raises:
        UsageError: Ray is not there, or no node has the memory of a task.
        SinkError: the cluster was lost, or the store is full.
    """
    if find_spec("ray") is None:
        raise UsageError("--engine ray needs Ray: pip install 'candlemill[ray]', or leave --engine out")
    # It would send figures of its use to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    # Not postponed, as what it starts would never hear a signal; where it is ended while it starts, Ray ends that.
    with ending.owned(lambda: None, lambda _: ray.shutdown()), _errors(address):
        with _own_signals():
            _connect(address, workers)
        _check(address)
        yield from attempted(tasks, _Crew(store, lanes, verify), store)


def _connect(address: str | None, workers: int) -> None:
    import ray

    alone: dict[str, Any] = {
        "num_cpus": workers, "object_store_memory": _OBJECTS, "include_dashboard": False
    }  # fmt: skip
    quiet = {"configure_logging": False, "logging_level": logging.ERROR, "log_to_driver": False}
    _hear_nodes()
    try:
        # Where no address is given, one in the environment would count.
        ray.init(address or "local", **quiet, **({} if address else alone))
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = f"the Ray cluster at {address}" if address else "a Ray of this machine"
        raise UsageError(f"{where} cannot be had: {shortened(error)}; start one by `ray start --head`") from error


def _hear_nodes() -> None:
    """Log what nodes say, at debug: Ray prints it on standard output, a hundred lines for a node that is lost."""
    from ray._private import worker

    def heard(said: dict[str, Any], **_: Any) -> None:
        for line in said["lines"]:
            log.debug("ray: %s", shortened(line))

    worker.print_to_stdstream = heard


def _check(address: str | None) -> None:
    """Raise UsageError where tasks would wait for memory that no node has."""
    import ray

    most = max((node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"]), default=0)
    # Of a cluster that has no workers yet there is nothing to say.
    if most < MEMORY and not address:
        raise UsageError(f"a task may need {MEMORY >> 20} MB of memory, and Ray finds {most / (1 << 20):.0f} MB free")


@contextmanager
def _own_signals() -> Iterator[None]:
    """Leave the signals to ``ending``, whatever is done to them in the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _errors(address: str | None) -> Iterator[None]:
    """Raise SinkError where the cluster itself fails."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise SinkError(
            f"Ray{f' at {address}' if address else ''} was lost: {shortened(error)}; what is done stays: mend that and "
            "give the same command again"
        ) from error


class _Crew:
    """The tasks in flight."""

    def __init__(self, store: Store, lanes: bool, verify: int) -> None:
        import ray

        self._how = store.url, lanes, verify
        # Who tries again is this process, which knows what an attempt was worth.
        self._remote = ray.remote(num_cpus=1, memory=MEMORY, max_retries=0)(_perform)
        self._running: dict[Any, Task] = {}
        self._most, self._asked = 1, -_AGAIN

    @property
    def busy(self) -> bool:
        """See ``Crew``."""
        return bool(self._running)

    def room(self) -> bool:
        """See ``Crew``."""
        import ray

        if monotonic() - self._asked >= _AGAIN:
            self._most = max(1, int(_AHEAD * ray.cluster_resources().get("CPU", 0)))
            self._asked = monotonic()
        return len(self._running) < self._most

    def begin(self, task: Task, failures: Sequence[Failure]) -> None:
        """See ``Crew``."""
        how: dict[str, Any] = {"name": task.id}
        if nodes := sorted({failure.node for failure in failures if failure.node}):
            how["label_selector"] = {"ray.io/node-id": f"!in({','.join(nodes)})"}
            how["fallback_strategy"] = [{"label_selector": {}}]
        elif failures:
            how["scheduling_strategy"] = "SPREAD"
        self._running[self._remote.options(**how).remote(task.id, asdict(task), *self._how)] = task

    def ended(self, wait: bool) -> Iterator[tuple[Task, Record | Failure]]:
        """See ``Crew``."""
        import ray

        ready, _ = ray.wait(list(self._running), timeout=_AGAIN if wait else 0)
        for ref in ready:
            yield self._running.pop(ref), _outcome(ref)


def _outcome(ref: Any) -> Record | Failure:
    """What came of a task that has ended."""
    import ray
    from ray import exceptions

    try:
        found: Record | Failure = ray.get(ref)
        return found
    except exceptions.NodeDiedError as error:
        return Failure(f"its node was lost: {shortened(error)}", lost=True)
    except exceptions.RayError as error:
        return Failure(f"{type(error).__name__}: {shortened(error)}")


def _perform(task_id: str, values: dict[str, Any], url: str, lanes: bool, verify: int) -> Record | Failure:
    """What a node does with a task."""
    import ray

    # What there is to tell comes back with the record.
    logging.disable()
    task = _task_of(task_id, values)
    outcome = task if isinstance(task, Failure) else attempt(task, _store(url), lanes=lanes, verify=verify)
    if isinstance(outcome, Failure):
        return replace(outcome, node=ray.get_runtime_context().get_node_id())
    return outcome


def _task_of(task_id: str, values: dict[str, Any]) -> Task | Failure:
    """The task of its values, if this code makes the same one of them."""
    try:
        task = Task(**values)
    except TypeError as error:
        return Failure(f"a node has another version of candlemill: {shortened(error)}")
    if task.id != task_id:
        return Failure(f"a node has another version of candlemill: it would compute {task.id}")
    return task


#: A process keeps its connections.
_store = cache(opened)
