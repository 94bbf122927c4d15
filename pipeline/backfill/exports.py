"""Slots into tasks: their bars and metrics are exported into the store, unless they have been.

So a source is read once, by one process. Once all is exported, nothing is asked of it any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..base.errors import UsageError
from ..base.intervals import INTERVALS, MICROSECOND, moment
from ..source.reader import METRICS_WINDOW
from . import export, folder
from .plan import digest
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from ..base.intervals import Interval
    from ..source.reader import Source
    from .plan import Plan, Slot
    from .store import Store

#: How far back the windows of metrics reach, microseconds.
_REACH = METRICS_WINDOW // MICROSECOND


@dataclass(frozen=True)
class _Piece:
    """Exported metrics of some time: their name and their digest."""

    name: str
    since: int
    until: int
    digest: str

    def reaches(self, slot: Slot) -> bool:
        """Whether windows of a slot may hold rows of it."""
        return self.since < slot.until and self.until > slot.since - _REACH


class Exports:
    """What is read from the source for the tasks of a plan. What has been read before is taken as it is."""

    def __init__(self, plan: Plan, source: Source | None, store: Store) -> None:
        """Look at what there is. Without a source all has to be. Raises OSError, and UsageError where it is not."""
        self._plan, self._source, self._store = plan, source, store
        self._known = folder.exported(store)
        self._said = folder.read_json(store, folder.EXPORTED) if source is None else {}
        if self._said is None:
            raise UsageError(f"{store} holds no whole export: give the command with --export-only first")
        self._metrics: dict[str, list[_Piece]] = {}
        self._forming: dict[str, int] = {}

    def task_of(self, slot: Slot) -> Task:
        """The task of a slot, with its bars exported. Raises SourceError and OSError."""
        request, interval = self._plan.request, INTERVALS[slot.interval]
        metrics = [piece for piece in self._pieces(interval) if piece.reaches(slot)]
        name = f"{slot.name}-{digest([request.exchange, slot.symbols, slot.since, slot.until, request.lookback])}"
        bars = self._exported(
            name,
            lambda source: export.read_bars(
                source, interval, request.exchange, slot.symbols, slot.since, slot.until, request.lookback
            ),
        )
        return Task(
            name=slot.name,
            interval=slot.interval,
            symbols=slot.symbols,
            since=slot.since,
            until=slot.until,
            exchange=request.exchange,
            profile=request.profile,
            lookback=request.lookback,
            forming=self._forming[interval.name],
            indicators=request.indicators,
            bars=name,
            metrics=tuple(piece.name for piece in metrics),
            exported=(bars, *(piece.digest for piece in metrics)),
            version=request.version,
        )

    def complete(self) -> None:
        """Say in the store that the bars of all slots are exported. Raises OSError."""
        if self._source is not None:
            said = {
                name: {"forming": self._forming[name], "pieces": [[one.since, one.until] for one in pieces]}
                for name, pieces in self._metrics.items()
            }
            folder.write_json(self._store, folder.EXPORTED, said)

    def _pieces(self, interval: Interval) -> list[_Piece]:
        """The metrics of an interval, exported when they are asked for first."""
        if interval.name not in self._metrics:
            self._metrics[interval.name] = list(self._export_metrics(interval))
        return self._metrics[interval.name]

    def _export_metrics(self, interval: Interval) -> Iterator[_Piece]:
        futures = [one for one in self._plan.request.declared if one.source == "metrics" and one.covers(interval.name)]
        totals = sorted({name for declared in futures for name in declared.totals})
        since, until = self._plan.range_of(interval)
        if self._source is None:
            said: dict[str, Any] = (self._said or {})[interval.name]
            self._forming[interval.name] = said["forming"]
            pieces = [(begin, end) for begin, end in said["pieces"]]
        else:
            self._forming[interval.name] = self._source.forming(interval)
            pieces = list(export.pieces(self._source, interval, since, until) if futures else ())
        for begin, end in pieces:
            what = digest([self._plan.symbols, begin, end, totals])
            name = f"metrics-{interval.name}-{moment(begin):%Y%m%dT%H%M}-{what}"
            read = partial(
                export.read_metrics, interval=interval, symbols=self._plan.symbols, since=begin, until=end,
                totals=totals,
            )  # fmt: skip
            yield _Piece(name, begin, end, self._exported(name, read))

    def _exported(self, name: str, read: Callable[[Source], pa.Table]) -> str:
        """The digest of an exported file, which is made where it is not there."""
        if name not in self._known:
            if self._source is None:
                raise UsageError(f"{name} in {self._store} is not exported: give the command with --export-only first")
            # Whatever the name begins with, the draft is of the same folder.
            draft = self._store.draft(f"{folder.BARS}/{name}")
            try:
                found = export.write(read(self._source), draft)
                self._store.publish({draft: folder.bars_of(name, found)})
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            self._known[name] = found
        return self._known[name]
