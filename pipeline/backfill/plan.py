"""What a backfill is asked for, and its cut into slots: an interval, some symbols and a range of time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ...indicators.registry import INDICATORS
from .. import __version__
from ..base.intervals import INTERVALS, MICROSECOND, microseconds, moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from ...indicators.contract import Indicator
    from ..base.intervals import Interval

#: Bars that are read for a task, at most: seconds of work, and some ten megabytes of bars.
MOST_BARS = 131_072
#: What a value takes in a file, in bytes, measured on sample markets.
_BYTES_OF_VALUE, _BYTES_OF_BAR = 4.3, 48


def digest(value: Any, letters: int = 16) -> str:
    """A short text that stands for a value of JSON."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode()).hexdigest()[:letters]


@dataclass(frozen=True)
class Slot:
    """What one task computes.

    Attributes:
        interval: its name.
        symbols: sorted.
        since: the start of the first bar can be this, microseconds since the epoch.
        until: all bars start before this.
    """

    interval: str
    symbols: tuple[str, ...]
    since: int
    until: int

    @property
    def name(self) -> str:
        """A name by which the files of slots stand in the order of time."""
        return f"{self.interval}-{moment(self.since):%Y%m%dT%H%M}"

    @property
    def bars(self) -> int:
        """Bars that it has at most."""
        return len(self.symbols) * _bars(INTERVALS[self.interval], self.since, self.until)


@dataclass(frozen=True)
class Request:
    """What a backfill is asked for: what has to be the same where one goes on.

    Attributes:
        exchange: of the candles.
        symbols: as they were asked for, such as ``auto``.
        intervals: their names.
        indicators: their ids.
        begin: the first moment at which a bar starts, ISO 8601.
        end: the moment before which all bars start.
        lookback: bars of a window.
        profile: whose values.
        version: of the code that computes, see ``code_version``.
    """

    exchange: str
    symbols: str
    intervals: tuple[str, ...]
    indicators: tuple[str, ...]
    begin: str
    end: str
    lookback: int
    profile: str
    version: str

    @property
    def declared(self) -> list[Indicator]:
        """The indicators themselves."""
        return [INDICATORS[name] for name in self.indicators]


@dataclass(frozen=True)
class Plan:
    """A request with what was found out when it began.

    Attributes:
        request: what was asked for.
        symbols: the symbols that were chosen then, sorted.
        closed: bars that had ended by this moment were closed then, ISO 8601.
    """

    request: Request
    symbols: tuple[str, ...]
    closed: str

    def range_of(self, interval: Interval) -> tuple[int, int]:
        """From which start on, and before which, the closed bars of an interval are asked for."""
        last = interval.back(datetime.fromisoformat(self.closed), 1) + MICROSECOND
        since, until = datetime.fromisoformat(self.request.begin), min(datetime.fromisoformat(self.request.end), last)
        return microseconds(since), microseconds(until)

    def slots(self) -> Iterator[Slot]:
        """All slots, interval by interval: of some symbols with the whole range, or of one with parts of it."""
        for name in self.request.intervals:
            interval = INTERVALS[name]
            since, until = self.range_of(interval)
            bars = _bars(interval, since, until)
            together = max(1, MOST_BARS // (bars + 2 * self.request.lookback)) if bars else 0
            for first in range(0, len(self.symbols) if together else 0, together or 1):
                symbols = self.symbols[first : first + together]
                for begin, end in _parts(interval, since, until):
                    yield Slot(name, symbols, begin, end)

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Plan:
        """The plan of a manifest. Raises KeyError or TypeError where it is none."""
        request: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found["request"].items()
        }
        return cls(Request(**request), tuple(found["symbols"]), found["closed"])


@dataclass(frozen=True)
class Size:
    """How much there is to do, at most.

    Attributes:
        tasks: how many.
        bars: how many windows are computed.
        rows: of all tables.
        size: about how many bytes, the exported bars among them.
    """

    tasks: int
    bars: int
    rows: int
    size: int


def size_of(plan: Plan) -> Size:
    """What a plan comes to where no symbol lacks a bar."""
    tasks = bars = rows = size = 0
    for slot in plan.slots():
        covering = [declared for declared in plan.request.declared if declared.covers(slot.interval)]
        tasks, bars, rows = tasks + 1, bars + slot.bars, rows + slot.bars * len(covering)
        values = sum(len(declared.columns) for declared in covering)
        size += int(slot.bars * (values * _BYTES_OF_VALUE + _BYTES_OF_BAR))
    return Size(tasks, bars, rows, size)


@cache
def code_version() -> str:
    """The version of the program with a digest of the code that decides over values."""
    package = files("candlemill")
    folders = ("indicators", "pipeline/compute", "sql/compute", "sql/indicators")
    found = {
        path: source.read_text(encoding="utf-8")
        for folder in folders
        for path, source in _sources(package.joinpath(folder), folder)
    }
    return f"{__version__}-{digest(sorted(found.items()), 12)}"


def _sources(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        below = f"{path}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, below)
        elif entry.name.endswith((".py", ".sql")):
            yield below, entry


def _bars(interval: Interval, since: int, until: int) -> int:
    """Bars of one symbol that start in a range, at most."""
    # A month that is shorter than the length of the interval's bars makes it no more than one more.
    length = timedelta(days=28) if interval.monthly else interval.length
    return max(0, -(-(until - since) // (length // MICROSECOND)))


def _parts(interval: Interval, since: int, until: int) -> Iterator[tuple[int, int]]:
    step = MOST_BARS * (interval.length // MICROSECOND)
    for begin in range(since, until, step):
        yield begin, min(begin + step, until)
