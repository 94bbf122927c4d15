"""``doctor``: everything that a support question would ask first, each with how to mend it."""

from __future__ import annotations

import platform
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import duckdb

from indicators.registry import INDICATORS
from pipeline import __version__
from pipeline.errors import CandlemillError, SinkError
from pipeline.extension import PACKAGE, load_sqlite
from pipeline.intervals import DEFAULT_INTERVALS, INTERVALS
from pipeline.record import Record
from pipeline.sink import Sink
from pipeline.source import Source
from pipeline.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Free space below which a run may not finish.
ENOUGH_MB = 500


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, whether it is well, what was seen, and what to do if not."""

    name: str
    ok: bool
    seen: str


def examine(source: str | None, sqlite: Path, duckdb_path: Path) -> list[Check]:
    """All checks, none of which writes anything."""
    return [
        *_versions(),
        _attempt("sqlite extension", _extension),
        *_source(source),
        _attempt("result database", lambda: _result(sqlite)),
        _attempt("work file", lambda: _work(duckdb_path)),
        *_disks({sqlite.resolve().parent, duckdb_path.resolve().parent}),
    ]


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except (CandlemillError, duckdb.Error, OSError) as error:
        return Check(name, False, str(error))


def _versions() -> Iterator[Check]:
    parts = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "connectorx", "pyarrow", "numpy"))
    yield Check("version", True, f"candlemill {__version__}, Python {platform.python_version()}, {parts}")


def _extension() -> str:
    with duckdb.connect() as door:
        load_sqlite(door)
    return f"{PACKAGE} {version(PACKAGE)} loads into DuckDB {duckdb.__version__}"


def _source(url: str | None) -> Iterator[Check]:
    if not url:
        yield Check("source", False, "none given: set DATABASE_URL or --source, or try `candlemill demo`")
        return
    try:
        source = Source.connect(url, Record(datetime.now(UTC), redacted(url), [], 0))
    except CandlemillError as error:
        yield Check("source", False, str(error))
        return
    yield Check("source", True, f"{redacted(url)} answers")
    for name in DEFAULT_INTERVALS:
        relation = source.relations.get(f"candles_{name}")
        form = source.metrics_form(INTERVALS[name])
        futures = f"metrics from {form.relation.name}" if form else "no metrics"
        if relation is None:
            minutes = "candles_1m" in source.relations
            how = "built from candles_1m" if minutes else "load candles, or run `candlemill init-db`"
            yield Check(f"candles {name}", minutes, f"no table: {how}; {futures}")
        elif not relation.readable:
            yield Check(
                f"candles {name}", False, f"may not be read: GRANT SELECT ON market_data.{relation.name} to the role"
            )
        else:
            yield Check(f"candles {name}", True, f"{relation.name}; {futures}")


def _result(path: Path) -> str:
    with Sink(path, lock_timeout=0) as sink:
        sink.check(list(INDICATORS.values()))
    return f"{path} can be written" if path.exists() else f"{path} will be created"


def _work(path: Path) -> str:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory: give a file with --duckdb")
    if not path.exists():
        return f"{path} will be created"
    try:
        with duckdb.connect(str(path), read_only=True) as door:
            found = door.execute("SELECT count(*) FROM runs").fetchone()
    except duckdb.Error as error:
        raise SinkError(
            f"{path} cannot be read as a work file ({error}): move it away, a run makes a new one"
        ) from error
    return f"{path} holds the record of {found[0] if found else 0} runs"


def _disks(folders: set[Path]) -> Iterator[Check]:
    for folder in sorted(folders):
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(nearest).free // 2**20
        advice = "" if free >= ENOUGH_MB else f": free at least {ENOUGH_MB} MB"
        yield Check("free disk", free >= ENOUGH_MB, f"{free} MB in {nearest}{advice}")
