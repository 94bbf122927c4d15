"""What a backfill keeps in its store, by names.

``_manifest.json``                                     what was asked for, and what came of it
``_exported.json``                                     what tasks have to know of the source, once all bars are exported
``_bars/<interval>-<begin>-<slot>-<digest>.parquet``   exported bars of a slot; metrics are called ``metrics-…``
``_tasks/<task>.json``                                 a task's record: what has none is not done
``<indicator>/interval=<interval>/<task>.parquet``

Only files that are called so are ever removed.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...indicators.registry import INDICATORS
from ..base.errors import SinkError, UsageError, shortened
from ..base.intervals import INTERVALS
from ..base.threads import ReadAhead
from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .store import Entry, Store

MANIFEST, EXPORTED = "_manifest.json", "_exported.json"
BARS, TASKS = "_bars", "_tasks"
_TASK = r"\w+-\d{8}T\d{4}-[0-9a-f]{16}"
_PART = re.compile(rf"({_TASK})\.parquet")
_RECORD = re.compile(rf"({_TASK})\.json")
_BARS = re.compile(r"([\w-]+-\d{8}T\d{4}-[0-9a-f]{16})-([0-9a-f]{32})\.parquet")
_FORMAT = 2


def record_of(task: str) -> str:
    """The file of a task's record."""
    return f"{TASKS}/{task}.json"


def part_of(indicator: str, interval: str, task: str) -> str:
    """The file of a task's rows of an indicator."""
    return f"{indicator}/interval={interval}/{task}.parquet"


def bars_of(name: str, digest: str) -> str:
    """A file of exported bars or metrics, which has its digest in its name."""
    return f"{BARS}/{name}-{digest}.parquet"


@contextmanager
def taken(store: Store) -> Iterator[None]:
    """Have the store for this process alone, if it can tell, and leave no draft of an attempt in it.

    Raises:
        UsageError: it holds no backfill, or another process has it.
        SinkError: it cannot be read or written.
    """
    parts = [f"{name}/interval={interval}" for name in INDICATORS for interval in INTERVALS]
    try:
        check(store)
        with store.taken(["", BARS, TASKS, *parts]):
            yield
    except OSError as error:
        raise SinkError(
            f"--output {store} cannot be written: {shortened(error)}; mend that and give the same command again"
        ) from error


def check(store: Store) -> None:
    """Raise UsageError for a store that is not empty and holds no backfill."""
    if store.foreign() and store.read(MANIFEST) is None:
        raise UsageError(f"--output {store} is not empty and holds no backfill: give a new folder")


def read_manifest(store: Store) -> Plan | None:
    """The plan that the backfill was begun with; None: it is new. Raises UsageError where there is none to read."""
    found = store.read(MANIFEST)
    if found is None:
        return None
    try:
        value = json.loads(found)
        if value["format"] != _FORMAT:
            raise ValueError(f"its format is {value['format']}")
        return Plan.of_json(value["plan"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{MANIFEST} in {store} is not the manifest of a backfill ({shortened(error)}): give another --output"
        ) from error


def write_manifest(store: Store, plan: Plan, outcome: dict[str, Any]) -> None:
    """Write what was asked for, and what came of it. Raises OSError."""
    write_json(store, MANIFEST, {"format": _FORMAT, "plan": plan.as_json(), **outcome})


def write_json(store: Store, name: str, value: Any) -> None:
    """Put a file of JSON in its place, whole. Raises OSError."""
    store.write(name, f"{json.dumps(value, ensure_ascii=False, indent=1)}\n".encode())


def exported(store: Store) -> dict[str, str]:
    """The digests of exported bars and metrics, by name. Raises OSError."""
    found: dict[str, str] = {}
    for entry in store.entries(BARS):
        if named := _BARS.fullmatch(entry.name):
            # Where one was exported twice, and differs, everybody takes the same one.
            found[named[1]] = min(named[2], found.get(named[1], named[2]))
    return found


def recorded(store: Store) -> dict[str, Entry]:
    """The files of records, by task. Raises OSError."""
    found = ((_RECORD.fullmatch(entry.name), entry) for entry in store.entries(TASKS))
    return {named[1]: entry for named, entry in found if named}


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """What a file of JSON says; None: it is not there. Raises OSError."""
    found = store.read(name)
    value: dict[str, Any] | None = None if found is None else json.loads(found)
    return value


def read_record(store: Store, task: str) -> dict[str, Any] | None:
    """A task's record; None: it has none. Raises OSError."""
    return read_json(store, record_of(task))


def read_records(store: Store, tasks: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Records of some tasks, in their order, some ahead of who takes them. Raises OSError."""
    for group in ReadAhead(lambda task: read_record(store, task), tasks, most=2 * store.lag, abreast=store.lag):
        yield from filter(None, group)


def keep_only(store: Store, tasks: Collection[str], plan: Plan) -> None:
    """Remove the records of other tasks than some, whose bars have been exported anew, and their files.

    A file of one of these tasks stays, whether it has a record or not: somebody may be about to write that.
    """
    for task in recorded(store).keys() - set(tasks):
        store.remove(record_of(task))
    for declared in plan.request.declared:
        for interval in filter(declared.covers, plan.request.intervals):
            place = f"{declared.id}/interval={interval}"
            for entry in store.entries(place):
                if (named := _PART.fullmatch(entry.name)) and named[1] not in tasks:
                    store.remove(f"{place}/{entry.name}")
