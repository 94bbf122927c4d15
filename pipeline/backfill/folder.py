"""The folder of a backfill: which files are in it, and how each comes into being whole.

``_manifest.json``                            what was asked for, and what came of it
``_bars/<interval>-<begin>-<digest>.parquet`` exported bars of a slot; metrics are called ``metrics-…``
``_tasks/<task>.json``                        a task's record: what has none is not done
``<indicator>/interval=<interval>/<task>.parquet``

A file is written under a name of its own attempt and renamed once it is on disk. Only files that are called so are ever
removed, and only in the folders above.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...indicators.registry import INDICATORS
from ..base import ending, folders
from ..base.errors import SinkError, UsageError, shortened
from ..base.intervals import INTERVALS
from .plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_DRAFT = re.compile(r"\.[\w.-]+\.[0-9a-f]{16}\.tmp")
_PART = re.compile(r"\w+-\d{8}T\d{4}-[0-9a-f]{16}")
_FORMAT = 1


def draft_of(file: Path) -> Path:
    """A name to write a file under, of this attempt alone, in the file's folder, which is made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.with_name(f".{file.stem}.{secrets.token_hex(8)}.tmp")


def publish(drafts: dict[Path, Path]) -> None:
    """Give drafts, each with the file that it is to be, their names, once all are on disk. Raises OSError."""
    for draft in drafts:
        _settle(draft)
    for draft, file in drafts.items():
        draft.replace(file)
    for place in {file.parent for file in drafts.values()}:
        _settle(place)


def write_json(file: Path, value: Any) -> None:
    """Put a file of JSON in its place, whole. Raises OSError."""
    draft = draft_of(file)
    try:
        draft.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        publish({draft: file})
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def record_of(root: Path, task: str) -> Path:
    """The file of a task's record."""
    return root / "_tasks" / f"{task}.json"


def read_record(root: Path, task: str) -> dict[str, Any] | None:
    """A task's record; None: it has none. Raises OSError."""
    try:
        found: dict[str, Any] = json.loads(record_of(root, task).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


def part_of(root: Path, indicator: str, interval: str, task: str) -> Path:
    """The file of a task's rows of an indicator."""
    return root / indicator / f"interval={interval}" / f"{task}.parquet"


def bars_of(root: Path, name: str) -> Path:
    """A file of exported bars or metrics."""
    return root / "_bars" / f"{name}.parquet"


@contextmanager
def taken(root: Path) -> Iterator[None]:
    """Have the folder for this process alone, and leave nothing in it that an attempt has left.

    Raises:
        UsageError: it is no folder of a backfill, or another process has it.
        SinkError: it cannot be written.
    """
    try:
        folders.make(root)
        if not _is_ours(root):
            raise UsageError(f"--output {root} is not empty and holds no backfill: give a new folder")
        with ending.owned(lambda: _locked(root), lambda handle: _left(root, handle)):
            sweep(root)
            yield
    except OSError as error:
        raise SinkError(
            f"--output {root} cannot be written: {shortened(error)}; mend that and give the same command again"
        ) from error


def read_manifest(root: Path) -> Plan | None:
    """The plan that the folder was begun with; None: it is new. Raises UsageError where there is none to read."""
    file = root / "_manifest.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ValueError(f"its format is {found['format']}")
        return Plan.of_json(found["plan"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} is not the manifest of a backfill ({shortened(error)}): give another folder with --output"
        ) from error


def write_manifest(root: Path, plan: Plan, outcome: dict[str, Any]) -> None:
    """Write what was asked for, and what came of it. Raises OSError."""
    write_json(root / "_manifest.json", {"format": _FORMAT, "plan": plan.as_json(), **outcome})


def keep_only(root: Path, tasks: Collection[str]) -> None:
    """Remove the records of other tasks than some, whose bars have been exported anew, and their files."""
    for file in (root / "_tasks").glob("*.json"):
        if _PART.fullmatch(file.stem) and file.stem not in tasks:
            file.unlink()
    sweep(root)


def sweep(root: Path) -> None:
    """Remove what attempts have left: drafts, and files of tasks that have no record."""
    done = {file.stem for file in (root / "_tasks").glob("*.json")}
    parts = [root / name / f"interval={interval}" for name in INDICATORS for interval in INTERVALS]
    for place in [root, root / "_bars", root / "_tasks", *parts]:
        for file in place.iterdir() if place.is_dir() else ():
            orphan = place in parts and file.suffix == ".parquet" and _PART.fullmatch(file.stem)
            if _DRAFT.fullmatch(file.name) or (orphan and file.stem not in done):
                file.unlink(missing_ok=True)


def _is_ours(root: Path) -> bool:
    names = [file.name for file in root.iterdir()]
    return "_manifest.json" in names or all(_DRAFT.fullmatch(name) for name in names)


def _locked(root: Path) -> int:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UsageError(f"another backfill writes into {root}: wait for it, or give another --output") from error
    return handle


def _left(root: Path, handle: int) -> None:
    try:
        sweep(root)
    finally:
        os.close(handle)


def _settle(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
