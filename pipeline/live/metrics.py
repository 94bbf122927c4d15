"""The metrics file: how a run or a watch is doing, as Prometheus reads it.

It is what the textfile collector of node_exporter picks up: the text format, without times of its own, as a whole.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..base.errors import UsageError, shortened
from ..base.files import replace_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .health import Health

_PREFIX = "candlemill_"
_OURS = f"# HELP {_PREFIX}"


def check_metrics_file(file: Path) -> None:
    """Raise UsageError where something else stands in the place of a metrics file, or it cannot be read."""
    try:
        if file.exists() or file.is_symlink():
            if file.is_symlink() or not file.is_file():
                raise UsageError(f"--metrics-file {file} is not a plain file: give another name")
            with file.open("rb") as opened:
                if opened.read(len(_OURS)) not in (b"", _OURS.encode()):
                    raise UsageError(f"--metrics-file {file} is a file of something else: give another name")
    except (OSError, ValueError) as error:
        raise UsageError(f"--metrics-file {shortened(repr(str(file)))} cannot be used: {shortened(error)}") from error


def write_metrics(file: Path, health: Health, now: datetime) -> None:
    """Put the metrics file in its place. Raises OSError."""
    replace_text(file, "".join(f"{line}\n" for line in _lines(health, now)))


def _lines(health: Health, now: datetime) -> Iterator[str]:
    ran = health.last_run
    finished = _seconds(ran.finished_at) if ran and ran.finished_at else None
    bars = {watched.interval: watched.newest_bar for watched in health.intervals if watched.newest_bar}
    yield from _metric("last_run_timestamp_seconds", "gauge", "When the last good pass ended.", {"": finished})
    yield from _metric(
        "last_run_duration_seconds", "gauge", "What the last good pass took.", {"": ran.total if ran else None}
    )
    yield from _metric("last_run_rows", "gauge", "Result rows of the last good pass.", {"": ran.rows if ran else None})
    yield from _metric("passes_total", "counter", "Good passes of this process.", {"": health.passes})
    yield from _metric("rows_total", "counter", "Result rows of this process.", {"": health.rows})
    yield from _metric("errors_total", "counter", "Errors of this process.", {"": health.failures})
    yield from _metric(
        "newest_bar_timestamp_seconds",
        "gauge",
        "Start of the newest bar that results were computed from.",
        {_labels(interval=interval): _seconds(newest) for interval, newest in bars.items()},
    )
    yield from _metric(
        "lag_seconds",
        "gauge",
        "How long ago that bar had begun when this was written.",
        {_labels(interval=interval): (now - newest).total_seconds() for interval, newest in bars.items()},
    )
    yield from _metric(
        "stale_after_seconds",
        "gauge",
        "How old the newest bar of an interval may be.",
        {_labels(interval=watched.interval): watched.stale_after for watched in health.intervals},
    )
    yield from _metric("wal_megabytes", "gauge", "Size of the result database's log.", {"": health.wal_mb})
    yield from _metric(
        "left_out_rows",
        "gauge",
        "Rows that the last computation of an interval left out.",
        {
            _labels(interval=watched.interval, reason=reason): count
            for watched in health.intervals
            for reason, count in watched.left_out.items()
        },
    )


def _metric(name: str, kind: str, meaning: str, samples: Mapping[str, float | None]) -> Iterator[str]:
    """The lines of a metric, of values by labels; none where it has no value."""
    known = {labels: value for labels, value in samples.items() if value is not None}
    if known:
        yield f"# HELP {_PREFIX}{name} {meaning}"
        yield f"# TYPE {_PREFIX}{name} {kind}"
    for labels, value in known.items():
        yield f"{_PREFIX}{name}{labels} {value!r}"


def _labels(**values: str) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in values.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"


def _seconds(moment: datetime) -> float:
    return moment.astimezone(UTC).timestamp()
