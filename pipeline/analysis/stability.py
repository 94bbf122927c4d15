"""How firm the newest value of an indicator is: with another length of window, and while its bar forms.

A recursion that begins with the window, as an average of Wilder's does, depends on how long that is; a value of a bar
that forms is not the one that stays. Both are measured over the newest closed bars of some symbols, with the functions
that a run calls: windows of several lengths that end at the same bar, and windows whose newest bar is what a finer
interval has of its first quarter, half and three quarters, in whole bars of that.

Two numbers are compared by their distance in percent of the column's typical size for that symbol, the median of its
absolute values: a number that swings around zero, as a MACD does, is often small by chance. Of words it counts how
often another one is said.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...indicators.contract import BAR_FIELDS
from ...indicators.kinds import TEXT, TIME
from ...indicators.registry import INDICATORS
from ..base.duck import open_duckdb
from ..base.errors import NoCandlesError, UsageError
from ..base.intervals import DEFAULT_INTERVALS, INTERVALS, MICROSECOND, moment
from ..base.logs import warn_of_left_out
from ..compute.checks import possible_bars
from ..compute.history import later
from ..compute.pivot import nullable, pivot_bars, series_of_bars
from ..compute.rows import computed
from ..compute.sql import SqlIndicators
from ..source.buckets import build_bars
from ..source.reader import Source
from ..source.symbols import symbols_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...indicators.contract import Array, Bools, Column, Floats, Indicator, Ints
    from ..base.intervals import Interval
    from ..settings import Settings

log = logging.getLogger(__name__)

LOOKBACKS = (200, 400, 800, 1600)
#: How much of a bar has formed, with its name.
FORMED = {"1/4": 0.25, "1/2": 0.5, "3/4": 0.75}
#: Parts that a bar has at least, to be seen while it forms.
_PARTS = 4
#: Two numbers that differ by less, relatively, count as one: the order of additions may differ.
_EQUAL = 1e-9

#: The columns of what ``stability`` finds.
SCHEMA = pa.schema([
    ("indicator", pa.string()),
    ("column", pa.string()),
    ("against", pa.string()),
    ("compared", pa.int64()),
    ("differing_percent", pa.float64()),
    ("median_percent", pa.float64()),
    ("p95_percent", pa.float64()),
    ("one_missing_percent", pa.float64()),
])  # fmt: skip


#: The indicator that is the bar itself.
_BAR = INDICATORS["base_data"]


class Change(NamedTuple):
    """How much an indicator changes: the greatest ``p95_percent`` of its numbers, ``differing_percent`` of its words.

    None where it has no such column, or nothing could be compared.
    """

    numbers: float | None
    words: float | None


def greatest(table: pa.Table) -> dict[str, dict[str, Change]]:
    """The changes of each indicator by the form of the window, of what ``stability`` finds.

    Columns that repeat the bar itself, such as its price or turnover, do not count: of many indicators they would be
    the ones that change most.
    """
    repeated = {column.name for column in _BAR.columns}
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in table.to_pylist():
        if row["indicator"] == _BAR.id or row["column"] not in repeated:
            found.setdefault(row["indicator"], {}).setdefault(row["against"], []).append(row)
    return {name: {form: _greatest(rows) for form, rows in forms.items()} for name, forms in found.items()}


def _greatest(rows: Sequence[Mapping[str, Any]]) -> Change:
    numbers = [row["p95_percent"] for row in rows if row["p95_percent"] is not None]
    words = [
        row["differing_percent"]
        for row in rows
        if row["differing_percent"] is not None and row["one_missing_percent"] is None
    ]
    return Change(max(numbers, default=None), max(words, default=None))


@dataclass(frozen=True)
class _Bars:
    """The bars of a symbol, oldest first: start of each, int64 microseconds, and values by name; shape (bars,)."""

    time: Ints
    fields: Mapping[str, Floats]

    def table(self, places: Ints, symbols: Array) -> pa.Table:
        """Some of the bars in the form of a source, under other names of symbols."""
        return pa.table({
            "symbol": pa.array(symbols, pa.string()),
            "bucket_ts": pa.array(self.time[places]).cast(pa.timestamp("us", "UTC")),
            **{name: nullable(self.fields[name][places]) for name in BAR_FIELDS},
        })  # fmt: skip


def stability(settings: Settings, bars: int, lookbacks: Sequence[int] = LOOKBACKS) -> pa.Table:
    """How much the newest values of some indicators change.

    Args:
        settings: the source, the symbols, one interval, the indicators, as of when; its lookback is that of the windows
            whose newest bar forms.
        bars: closed bars of each symbol that are looked at, the newest.
        lookbacks: lengths of windows; each is compared with the longest that the source has bars for.

    Returns:
        A row for each column of each indicator of candles and each other form of the window, moments excepted:
        ``against`` is that form (``200 bars``, ``1/4 of the bar``), ``compared`` how many bars it is of,
        ``differing_percent`` at how many of these the values differ. Of numbers, ``median_percent`` and ``p95_percent``
        are the median and the 95th percentile of their distance in percent of the column's typical size, and
        ``one_missing_percent`` says at how many only one of the two is there; of words these are NULL.

    Raises:
        SourceError: the source cannot be read.
        NoCandlesError: no symbol has enough candles.
        UsageError: the symbols cannot be chosen, or fewer than two lengths were given.
    """
    lengths = sorted(set(lookbacks))
    if len(lengths) < 2:
        raise UsageError("--lookbacks needs at least two lengths to compare, such as 200,400")
    interval = settings.intervals[0]
    indicators = [declared for declared in settings.indicators if declared.source == "candles"]
    source = Source.connect(settings.source)
    symbols = symbols_to_read(settings, source)
    most = max(lengths[-1], settings.lookback) + bars
    table = source.candles(interval, settings.exchange, symbols, settings.as_of, most, closed_only=True)
    series = _series(table, interval)
    lengths = _usable(lengths, series, bars, interval)
    finer = _finer(interval)
    parts: dict[str, _Bars] = {}
    if finer is None:
        log.warning("%s: no interval is finer: what a bar is while it forms is not seen", interval.name)
    else:
        most = bars * -(-interval.length // finer.length)
        parts = _series(
            source.candles(finer, settings.exchange, symbols, settings.as_of, most, closed_only=True), finer
        )
    found: dict[tuple[str, str, str], list[_Compared]] = defaultdict(list)
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for symbol, its_bars in series.items():
            windows = _Windows(its_bars, bars, settings)
            windows.add_lengths(lengths)
            if finer is not None and symbol in parts:
                windows.add_forming(settings.lookback, parts[symbol], interval, finer)
            for key, compared in windows.compare(indicators, interval, sql):
                found[key].append(compared)
    rows = [_summary(*key, compared) for key, compared in found.items()]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _series(table: pa.Table, interval: Interval) -> dict[str, _Bars]:
    possible, left_out = possible_bars(table, interval)
    found, others = series_of_bars(possible)
    warn_of_left_out(log, left_out + others)
    return {symbol: _Bars(time, fields) for symbol, (time, fields) in found.items()}


def _usable(lengths: list[int], series: Mapping[str, _Bars], bars: int, interval: Interval) -> list[int]:
    """The lengths for which some series has the bars. Raises NoCandlesError where these are fewer than two."""
    longest = max((len(one.time) for one in series.values()), default=0)
    usable = [length for length in lengths if length + bars - 1 <= longest]
    if len(usable) < 2:
        raise NoCandlesError(
            f"{interval.name}: the longest series has {longest} closed bars, and windows of {lengths[0]} and "
            f"{lengths[1]} bars at {bars} bars need {lengths[1] + bars - 1}: load more, or give fewer by --lookbacks"
        )
    if usable != lengths:
        left_out = ", ".join(map(str, lengths[len(usable) :]))
        log.warning("%s: the longest series has %d closed bars, too few for %s", interval.name, longest, left_out)
    return usable


def _finer(interval: Interval) -> Interval | None:
    """The coarsest of the usual intervals of which a bar has some parts; None where there is none."""
    fitting = [
        other
        for other in map(INTERVALS.__getitem__, DEFAULT_INTERVALS)
        if not interval.length % other.length and interval.length // other.length >= _PARTS
    ]
    return max(fitting, key=lambda other: other.length, default=None)


@dataclass(frozen=True)
class _Compared:
    """Values of a column at some bars of a symbol, in a window's own form and in another; shape (bars,)."""

    own: Array
    other: Array


class _Windows:
    """Windows of a symbol's bars that end at its newest ones, in several forms, computed as the series of a panel."""

    def __init__(self, series: _Bars, bars: int, settings: Settings) -> None:
        self._series, self._as_of, self._profile = series, settings.as_of, settings.profile
        self._ends = np.arange(max(0, len(series.time) - bars), len(series.time))
        self._tables: list[pa.Table] = []
        self._longest = 0
        #: Of each comparison: the name of what is compared, its form, that which it is compared with, the bars.
        self._pairs: list[tuple[str, str, str, Ints]] = []

    def add_lengths(self, lengths: Sequence[int]) -> None:
        """Windows of some lengths, each compared with the longest."""
        ends = self._ends[self._ends + 1 >= lengths[-1]]
        for length in lengths:
            self._add(f"{length}", ends, length)
        self._pairs += [(f"{length} bars", f"{length}", f"{lengths[-1]}", ends) for length in lengths[:-1]]

    def add_forming(self, lookback: int, parts: _Bars, interval: Interval, finer: Interval) -> None:
        """Windows whose newest bar is what finer bars have of its beginning, compared with the whole bar's."""
        self._add("whole", self._ends, lookback)
        starts = self._series.time[self._ends]
        lasts, part = later(starts, interval, 1) - starts, finer.length // MICROSECOND
        for name, share in FORMED.items():
            # The nearest number of whole parts, and no bar of which one is missing.
            wanted = np.maximum(1, np.rint(lasts * share / part).astype(np.int64))
            first = np.searchsorted(parts.time, starts)
            after = np.searchsorted(parts.time, starts + wanted * part)
            known = after - first == wanted
            if not known.any():
                continue
            places = np.concatenate([np.arange(a, b) for a, b in zip(first[known], after[known], strict=True)])
            begun = build_bars(
                [parts.table(places, np.repeat("", len(places)))],
                interval,
                moment(int(starts[0]) - 1),
                moment(int(starts[-1])),
            )
            bars, _ = series_of_bars(begun)
            time, fields = bars[""]
            ends = self._ends[known]
            # A source may begin its bars elsewhere than they are built here.
            same = np.isin(self._series.time[ends], time)
            self._add(name, ends[same], lookback, _Bars(time, fields))
            self._pairs.append((f"{name} of the bar", name, "whole", ends[same]))

    def _add(self, form: str, ends: Ints, length: int, newest: _Bars | None = None) -> None:
        self._longest = max(self._longest, length)
        for end in ends.tolist():
            before = np.arange(max(0, end + 1 - length), end + (newest is None))
            name = f"{form} {end}"
            self._tables.append(self._series.table(before, np.repeat(name, len(before))))
            if newest is not None:
                place = np.searchsorted(newest.time, self._series.time[end : end + 1])
                self._tables.append(newest.table(place, np.array([name])))

    def compare(
        self, indicators: Sequence[Indicator], interval: Interval, sql: SqlIndicators
    ) -> Iterator[tuple[tuple[str, str, str], _Compared]]:
        """Values of both forms for each comparison."""
        if not self._tables:
            return
        pivot = pivot_bars(pa.concat_tables(self._tables), interval.name, self._as_of, self._longest)
        sql.load("candles", [pivot], newest=self._longest)
        for declared, rows in computed(indicators, pivot.panel, None, sql, profile=self._profile):
            place = {symbol: number for number, symbol in enumerate(rows["symbol"].to_pylist())}
            for column in declared.columns:
                if column.kind is TIME:
                    continue
                values = _values(rows[column.name], column)
                for against, form, reference, ends in self._pairs:
                    own, other = (
                        values[[place[f"{which} {end}"] for end in ends.tolist()]] for which in (reference, form)
                    )
                    yield (declared.id, column.name, against), _Compared(own, other)


def _values(cells: pa.ChunkedArray, column: Column) -> Array:
    """Values as float64 with NaN, or texts with None."""
    if column.kind is TEXT:
        return np.array(cells.to_pylist(), dtype=np.object_)
    return cells.cast(pa.float64()).fill_null(np.nan).to_numpy()


def _summary(indicator: str, column: str, against: str, parts: Sequence[_Compared]) -> dict[str, object]:
    row: dict[str, object] = {
        "indicator": indicator,
        "column": column,
        "against": against,
        "compared": sum(len(part.own) for part in parts),
    }
    if not row["compared"]:
        return row
    if parts[0].own.dtype == np.object_:
        return row | {"differing_percent": _percent(np.concatenate([part.own != part.other for part in parts]))}
    distances = np.concatenate([_distances(part) for part in parts])
    missing = np.concatenate([np.isnan(part.own) != np.isnan(part.other) for part in parts])
    known = distances[~np.isnan(distances)]
    row |= {
        "differing_percent": _percent(missing | (distances > 100 * _EQUAL)),
        "one_missing_percent": _percent(missing),
    }
    if len(known):
        row |= {"median_percent": float(np.median(known)), "p95_percent": float(np.percentile(known, 95))}
    return row


def _percent(flags: Bools) -> float:
    return float(100 * flags.mean())


def _distances(part: _Compared) -> Floats:
    """Distance of two numbers in percent of the typical size of the column's; NaN where one is missing."""
    sizes = np.abs(part.own[~np.isnan(part.own)])
    typical = (np.median(sizes) or sizes.max()) if len(sizes) else np.nan
    distance = np.abs(part.own - part.other)
    with np.errstate(all="ignore"):
        # A column that is 0 everywhere, and in the other form is not: as far as can be.
        return np.where(distance == 0, 0.0, 100 * distance / typical)
