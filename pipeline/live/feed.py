"""Candles and metrics of some intervals in memory: the first look at an interval reads all, later ones what is new.

A look reads, in one statement each for candles and metrics, everything from ``overlap`` bars before the bar that closed
last at the look before: so the forming bar is always fresh, and a correction within the overlap is seen. The bound goes
by the clock, not by what there is: a symbol that lags is read from its own newest row on, along its index, and nobody
else's rows with it. A symbol that is new is read whole. What was corrected further back is seen when all is read anew.
Where a look is from an earlier moment than the one before, all is: the window then begins before what is held.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...indicators.fields import METRICS_ROWS
from ..base.errors import SourceError
from ..base.intervals import Interval, before
from ..reading import Loaded
from ..record import SILENT, Observer, Stage, timed
from ..source.reader import METRICS_WINDOW, Newer, Source
from . import window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from ..settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """Rows in memory, the moment they were looked at from, and whether that look found anything new.

    Attributes:
        thin: they came from a work file, which has no bar more than a pass sees.
    """

    rows: pa.Table
    as_of: datetime
    changed: bool = True
    thin: bool = False


@dataclass(frozen=True)
class _Bounds:
    """A window of time, as ``window.cut`` takes it."""

    after: datetime
    near: datetime
    most: int

    def cut(self, rows: pa.Table) -> pa.Table:
        return window.cut(rows, self.after, self.near, self.most)


class Feed:
    """The market as far as it was read."""

    def __init__(self, overlap: int) -> None:
        #: Bars that are read again: one that may form, the one that closed before it, and the overlap.
        self._again = overlap + 2
        self._candles: dict[str, Held] = {}
        self._metrics: dict[str, Held] = {}

    def forget(self) -> None:
        """Read everything anew at the next look."""
        self._candles.clear()
        self._metrics.clear()

    def begin_with(self, candles: Mapping[str, pa.Table], as_of: datetime) -> None:
        """Hold the bars of a pass that looked from a moment, as far as it had an interval, in the place of a look."""
        self._candles = {interval: Held(rows, as_of, thin=True) for interval, rows in candles.items()}

    def look(
        self,
        source: Source,
        settings: Settings,
        symbols: Sequence[str] | None,
        interval: Interval,
        observer: Observer = SILENT,
    ) -> tuple[Loaded, bool]:
        """What a fresh run would read for an interval, and whether it is new since the look before.

        Raises SourceError where the candles cannot be read; the look then never happened.
        """
        stage = Stage(interval.name)
        with timed(stage, "t_read"):
            candles = self._look_at_candles(source, settings, symbols, interval)
            metrics = None
            if candles.rows.num_rows and settings.reads_metrics:
                try:
                    metrics = self._look_at_metrics(source, settings, interval)
                except SourceError as error:
                    observer.fail("", "", interval.name, str(error))
            # A little more is held than a pass sees, so that a bar that vanishes leaves no hole.
            seen = self._bounds(settings, interval, settings.lookback).cut(candles.rows)
        loaded = Loaded(interval, stage, seen, metrics.rows if metrics else None)
        return loaded, candles.changed or (metrics is not None and metrics.changed)

    def _look_at_candles(
        self, source: Source, settings: Settings, symbols: Sequence[str] | None, interval: Interval
    ) -> Held:
        held = _not_later(self._candles.get(interval.name), settings.as_of)
        lookback = settings.lookback + self._again
        asked = (interval, settings.exchange, symbols, settings.as_of)
        if held is not None:
            bounds = self._bounds(settings, interval, lookback)
            held = self._refreshed(
                held, settings.as_of, interval, bounds, symbols,
                lambda newer: source.newer_candles(*asked, newer, settings.closed_only),
            )  # fmt: skip
        if held is None:
            held = Held(source.candles(*asked, lookback, settings.closed_only), settings.as_of)
        self._candles[interval.name] = held
        return held

    def _look_at_metrics(self, source: Source, settings: Settings, interval: Interval) -> Held | None:
        as_of = settings.as_of
        held = _not_later(self._metrics.get(interval.name), as_of)
        if held is not None:
            bounds = _Bounds(
                before(as_of, METRICS_WINDOW, 1), before(as_of, interval.length, METRICS_ROWS), METRICS_ROWS
            )
            read = _metrics_reader(source, interval, as_of)
            held = self._refreshed(held, as_of, interval, bounds, None, read)
        if held is None:
            rows = source.metrics(interval, as_of)
            if rows is None:
                return None
            held = Held(rows, as_of)
        self._metrics[interval.name] = held
        return held

    def _refreshed(
        self,
        held: Held,
        as_of: datetime,
        interval: Interval,
        bounds: _Bounds,
        symbols: Sequence[str] | None,
        read: Callable[[Newer], pa.Table],
    ) -> Held | None:
        """The rows brought up to date; None where that is not possible, and all must be read."""
        since = max(bounds.after, interval.back(held.as_of, self._again))
        newer = window.newer_than(held.rows, symbols, since, bounds.after, self._again * interval.length)
        fresh = read(newer)
        if found := window.strangers(held.rows, fresh, newer):
            newer = replace(newer, late={**newer.late, **dict.fromkeys(found, bounds.after)})
            fresh = read(newer)
        if held.thin and window.vanished(held.rows, fresh, newer, symbols):
            # An older bar takes the place of each, and it is not held.
            return None
        rows = bounds.cut(window.merged(held.rows, fresh, newer, symbols))
        return Held(rows, as_of, window.changed(held.rows, rows, newer), held.thin)

    def _bounds(self, settings: Settings, interval: Interval, lookback: int) -> _Bounds:
        until = interval.back(settings.as_of, 1) if settings.closed_only else settings.as_of
        return _Bounds(interval.back(settings.as_of, 2 * lookback), interval.back(until, lookback), lookback)


def _not_later(held: Held | None, as_of: datetime) -> Held | None:
    """What is held, if it was not looked at from a later moment."""
    return held if held is not None and held.as_of <= as_of else None


def _metrics_reader(source: Source, interval: Interval, as_of: datetime) -> Callable[[Newer], pa.Table]:
    def read(newer: Newer) -> pa.Table:
        rows = source.metrics(interval, as_of, newer)
        if rows is None:
            raise SourceError(f"the metrics of {interval.name} are gone: see `candlemill doctor`")
        return rows

    return read
