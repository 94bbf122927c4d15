"""The history of one series: what a run as of the end of each bar, less a microsecond, would have computed for it.

Such a run sees a window of bars: the newest ``lookback`` up to its bar, none before it ``begins``. Windows of one
length that follow each other are computed together, as the windows of a series (``indicators.windows``), where the
compiler is there that their kernels want; all others as the series of a panel. Both give the values of a run, to the
last bit.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from ...indicators.contract import Panel
from ...indicators.profiles import PARITY
from ...indicators.windows import Windows
from ..base.intervals import MICROSECOND
from ..record import SILENT, Observer
from .checks import possible_bars, possible_metrics
from .pivot import joined, nullable, series_of_bars, series_of_metrics
from .rows import computed

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import timedelta

    from ...indicators.contract import Array, Bools, Floats, Indicator, Ints, Parameters
    from ..base.intervals import Interval
    from .sql import SqlIndicators

#: Windows that are computed together as the windows of a series, and fewest of one length for which that pays.
TOGETHER = 16_384
FEWEST = 256
#: Of the windows of series in a row so many are of two series at most, for each that is of one.
_STRADDLING = 7
#: Windows that are computed together as the series of a panel: their bars are copied.
COPIED = 1024
#: A moment after all bars.
END = 2**62


@dataclass(frozen=True, eq=False)
class Series:
    """The bars, or the metrics rows, of a symbol at an interval, and how far back a run looks.

    Attributes:
        symbol: its name.
        interval: of the bars.
        time: start of each bar in microseconds since the epoch, rising; int64 of shape (bars,).
        fields: values by name, float64 of shape (bars,), NaN where there is none.
        lookback: bars of a window.
        begins: the moments after which the bars of windows begin that have certain as-of moments; int64, shape (bars,).
        as_of: the moment that the source was read as of, beyond which the last bar has not formed; microseconds.
    """

    symbol: str
    interval: Interval
    time: Ints
    fields: Mapping[str, Floats]
    lookback: int
    begins: Callable[[Ints], Ints]
    as_of: int = END

    @property
    def ends(self) -> Ints:
        """Last microsecond of each bar, as far as it has formed."""
        return np.minimum(later(self.time, self.interval, 1) - 1, self.as_of)

    @property
    def lengths(self) -> Ints:
        """Bars of the window that ends at each bar."""
        bars = np.arange(len(self.time))
        oldest = np.searchsorted(self.time, self.begins(self.ends), side="right")
        return bars + 1 - np.maximum(oldest, bars + 1 - self.lookback)


def later(moments: Ints, interval: Interval, bars: int) -> Ints:
    """Moments so many bars later, or earlier, as ``Interval.back`` counts them; shape (moments,)."""
    if not interval.monthly:
        return moments + bars * (interval.length // MICROSECOND)
    times = moments.astype("datetime64[us]")
    months = times.astype("datetime64[M]")
    days = times.astype("datetime64[D]")
    target = months + bars
    last = (target + 1).astype("datetime64[D]") - 1
    day = np.minimum(target.astype("datetime64[D]") + (days - months.astype("datetime64[D]")), last)
    return (day.astype("datetime64[us]") + (times - days.astype("datetime64[us]"))).astype(np.int64)


def series_of_candles(
    table: pa.Table, interval: Interval, lookback: int, as_of: int = END, forming: int = 0
) -> tuple[dict[str, Series], Counter[str]]:
    """The bars of a source by symbol, without those that a run leaves out, and how many these are, by reason.

    Of a symbol that has ``lookback`` bars in as many intervals a run is sent nothing older, whether all of them can be
    or not. ``forming`` of the newest bars are not counted then, and there are as many intervals more.
    """
    possible, skipped = possible_bars(table, interval)
    found, others = series_of_bars(possible)
    sent = _times_by_symbol(table) if skipped + others else {}
    series = {
        symbol: Series(
            *(symbol, interval, time, fields, lookback),
            partial(_begins, interval=interval, lookback=lookback, forming=forming, sent=sent.get(symbol)),
            as_of,
        )
        for symbol, (time, fields) in found.items()
    }
    return series, skipped + others


def _begins(ends: Ints, *, interval: Interval, lookback: int, forming: int, sent: Ints | None) -> Ints:
    """The moments after which the bars of windows begin; ``sent`` are the times of all bars, where some cannot be."""
    far = later(ends, interval, -2 * lookback)
    if sent is None:
        return far
    near = later(ends, interval, -lookback - forming)
    newest = np.searchsorted(sent, later(ends, interval, -forming), side="right")
    complete = newest - np.searchsorted(sent, near, side="right") >= lookback
    return np.where(complete, near, far)


def _times_by_symbol(table: pa.Table) -> dict[str, Ints]:
    """The times of all bars of each symbol, each once, rising."""
    keys = table.select(["symbol", "bucket_ts"]).drop_null().group_by(["symbol", "bucket_ts"]).aggregate([])
    ordered = keys.sort_by([("symbol", "ascending"), ("bucket_ts", "ascending")])
    symbols, first = np.unique(ordered["symbol"].to_numpy(), return_index=True)
    times = np.split(ordered["bucket_ts"].cast(pa.int64()).to_numpy(), first[1:])
    return dict(zip(symbols.tolist(), times, strict=True))


def series_of_futures(
    table: pa.Table, interval: Interval, rows: int, reach: timedelta, as_of: int = END
) -> tuple[dict[str, Series], Counter[str]]:
    """The metrics rows of a source by symbol, see ``series_of_candles``; windows hold the newest ``rows``."""
    possible, skipped = possible_metrics(table)
    found, others = series_of_metrics(possible)
    series = {
        symbol: Series(symbol, interval, time, fields, rows, lambda ends: ends - reach // MICROSECOND, as_of)
        for symbol, (time, fields) in found.items()
    }
    return series, skipped + others


def history_of(
    indicators: Sequence[Indicator],
    bars: Series | None,
    metrics: Series | None,
    since: int,
    until: int,
    sql: SqlIndicators,
    observer: Observer = SILENT,
    *,
    totals: Mapping[str, Floats] | None = None,
    profile: str = PARITY,
    lanes: bool = False,
    coded: bool = False,
    parameters: Mapping[Indicator, Parameters] = MappingProxyType({}),
) -> dict[Indicator, pa.Table]:
    """Finished rows of every indicator, one for each bar (or metrics row) of its series in a range of time.

    Args:
        indicators: what to compute; those that do not cover the interval, or have no series, get no rows.
        bars: the candles: those of the range, and as many before it as a window reaches back.
        metrics: the futures metrics likewise. At its own bar a metrics row is of age 0.
        since: from which start of a bar on, microseconds since the epoch.
        until: before which.
        sql: a connection of its own for the SQL indicators.
        observer: is told of errors: an indicator that fails costs the windows it fails on their values.
        totals: the market's totals at each metrics row, by field, shape (metrics rows,); unknown where not given.
        profile: whose values.
        lanes: whether windows of one length may be computed as the windows of a series.
        coded: whether texts are dictionary arrays.
        parameters: of some indicators, other than their defaults.

    Returns:
        Tables of symbol, interval, bucket_ts and the indicator's columns, oldest row first.
    """
    parts: dict[Indicator, list[pa.Table]] = defaultdict(list)
    for source, series in (("candles", bars), ("metrics", metrics)):
        for chosen, in_lanes in _by_lanes([each for each in indicators if each.source == source], profile, lanes):
            if series is None or not any(declared.covers(series.interval.name) for declared in chosen):
                continue
            names = {name for declared in chosen for name in declared.inputs}
            wanted = {name: (totals or {}).get(name) for declared in chosen for name in declared.totals}
            for chunk in _chunks(series, since, until, in_lanes):
                if chunk.sliding:
                    row = _Row([chunk])
                    panel: Panel = row.panel(names, [wanted])
                    found = _computed(chosen, row, panel, sql, observer, profile, coded, parameters)
                else:
                    panel, order = chunk.panel(names, wanted)
                    found = _computed(chosen, chunk, panel, sql, observer, profile, coded, parameters)
                    found = {declared: rows.take(pa.array(order)) for declared, rows in found.items()}
                for declared, rows in found.items():
                    parts[declared].append(rows)
    return {declared: pa.concat_tables(tables).drop_columns("run_id") for declared, tables in parts.items()}


def _by_lanes(indicators: Sequence[Indicator], profile: str, lanes: bool) -> Iterator[tuple[Sequence[Indicator], bool]]:
    """The indicators that may be computed as the windows of a series, where lanes are wanted, and the others.

    The kernels of a variant need not have lanes, so what is computed by one in NumPy takes the series of a panel.
    """
    own = [each for each in indicators if profile in each.variants and each.function(profile)]
    yield [each for each in indicators if each not in own], lanes
    yield own, False


@dataclass(frozen=True, eq=False)
class Part:
    """A series, the market's totals at its rows by field, and the range of time in which its windows end."""

    series: Series
    totals: Mapping[str, Floats]
    since: int
    until: int


def side_by_side(
    indicators: Sequence[Indicator],
    parts: Iterable[Part],
    sql: SqlIndicators,
    observer: Observer = SILENT,
    *,
    profile: str = PARITY,
    lanes: bool = False,
) -> Iterator[tuple[Indicator, pa.Table]]:
    """Rows as of ``history_of``, in any order, where there are many series of few windows each.

    All of one source and interval. A panel of many series costs little more than one of few.
    """
    known = list(parts)
    for chosen, in_lanes in _by_lanes(indicators, profile, lanes):
        if chosen:
            yield from _side_by_side(chosen, known, sql, observer, profile, in_lanes)


def _side_by_side(
    indicators: Sequence[Indicator],
    parts: Sequence[Part],
    sql: SqlIndicators,
    observer: Observer,
    profile: str,
    lanes: bool,
) -> Iterator[tuple[Indicator, pa.Table]]:
    names = {name for declared in indicators for name in declared.inputs}
    wanted = {name for declared in indicators for name in declared.totals}
    in_rows: dict[int, list[_WithTotals]] = defaultdict(list)
    copied: list[_WithTotals] = []
    for part in parts:
        totals = {name: part.totals.get(name) for name in wanted}
        for chunk in _chunks(part.series, part.since, part.until, lanes, side_by_side=True):
            (in_rows[int(chunk.lengths[0])] if chunk.sliding else copied).append((chunk, totals))
    for of_one_length in in_rows.values():
        for some in _gathered(of_one_length, TOGETHER, lambda chunk: len(chunk.ends) + int(chunk.lengths[0]) - 1):
            row, heard = _Row([chunk for chunk, _ in some]), _Heard()
            if sum(len(chunk.ends) for chunk in row.chunks) >= FEWEST:
                panel = row.panel(names, [totals for _, totals in some])
                found = _computed(indicators, row, panel, sql, heard, profile)
                if not heard.failed:
                    own = pa.array(row.own)
                    yield from ((declared, rows.filter(own)) for declared, rows in found.items())
                    continue
            # Few windows; or one that is of two series may be what an indicator stumbled over.
            copied += [(part, totals) for chunk, totals in some for part in chunk.parts(COPIED)]
    for some in _gathered(copied, COPIED, lambda chunk: len(chunk.ends)):
        panels = [(chunk, chunk.panel(names, totals)[0]) for chunk, totals in some]
        yield from _computed(indicators, *_together(panels), sql, observer, profile).items()


class _Heard(Observer):
    """Hears whether an indicator failed."""

    failed = False

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:  # noqa: ARG002
        """Keep that one did."""
        self.failed = True


def _gathered(chunks: Iterable[_WithTotals], most: int, size: Callable[[_Chunk], int]) -> Iterator[list[_WithTotals]]:
    """The chunks in their order, as many together as come to a size; one that is larger alone."""
    gathered: list[_WithTotals] = []
    total = 0
    for one in chunks:
        if gathered and total + size(one[0]) > most:
            yield gathered
            gathered, total = [], 0
        gathered.append(one)
        total += size(one[0])
    if gathered:
        yield gathered


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some windows of a series: the bars they end at, and how many bars each has; shape (windows,)."""

    series: Series
    ends: Ints
    lengths: Ints
    sliding: bool

    @property
    def interval(self) -> str:
        """Its name."""
        return self.series.interval.name

    def parts(self, most: int) -> Iterator[_Chunk]:
        """The same windows in chunks of no more than so many, to be copied."""
        return _cut(self.series, self.ends, self.lengths, most, sliding=False)

    def known(
        self, names: set[str], totals: Mapping[str, Floats | None]
    ) -> tuple[Ints, dict[str, Floats], dict[str, Floats]]:
        """Of all bars of the series what is 'now', some fields, and the market's totals."""
        series = self.series
        unknown = np.full(len(series.time), np.nan)
        # A metrics row is looked at when it is new: its age is 0.
        now = series.ends if "close" in series.fields else series.time
        fields = {name: values for name, values in series.fields.items() if name in names}
        return now, fields, {name: values if values is not None else unknown for name, values in totals.items()}

    def panel(self, names: set[str], totals: Mapping[str, Floats | None]) -> tuple[Panel, Ints]:
        """The windows as a panel of some fields, and where each window is among its columns."""
        series = self.series
        now, fields, known = self.known(names, totals)
        order = np.argsort(-self.lengths, kind="stable")
        ends, lengths = self.ends[order], self.lengths[order]
        height = int(lengths[0])
        bars = ends + 1 - height + np.arange(height)[:, None]
        inside = bars > ends - lengths

        def cut(values: Array, empty: float) -> Array:
            return np.where(inside, values[np.maximum(bars, 0)], values.dtype.type(empty))

        panel = Panel(
            intervals=[series.interval.name] * len(ends),
            as_of=now[ends],
            symbols=[series.symbol] * len(ends),
            lengths=lengths,
            time=cut(series.time, 0),
            fields={name: cut(values, np.nan) for name, values in fields.items()},
            totals={name: values[ends] for name, values in known.items()},
        )
        return panel, np.argsort(order)

    def ranked(self, panel: Panel, newest: int, reads: Callable[[Iterable[str]], list[str]]) -> pa.Table:
        """The newest bars of each window, as ``Pivot.ranked`` has them, with the columns that ``reads`` takes of all.

        ``series`` is the column of the panel.
        """
        counts = np.minimum(panel.lengths, newest)
        series = np.repeat(np.arange(panel.series), counts)
        rank = np.repeat(np.cumsum(counts), counts) - np.arange(len(series))
        bars = np.searchsorted(self.series.time, panel.newest_time)[series] + 1 - rank
        columns: dict[str, Callable[[], Any]] = {
            "series": lambda: series,
            "n": lambda: panel.lengths[series],
            "rn": lambda: rank,
            **self.columns(bars),
        }
        return pa.table({name: columns[name]() for name in reads(columns)})

    def columns(self, bars: Ints) -> dict[str, Callable[[], Any]]:
        """What there is of some bars of the series, by name."""
        one = self.series

        def named(text: str) -> pa.Array:
            return pa.DictionaryArray.from_arrays(np.zeros(len(bars), dtype=np.int8), pa.array([text], pa.string()))

        return {
            "interval": lambda: named(one.interval.name),
            "symbol": lambda: named(one.symbol),
            "bucket_ts": lambda: pa.array(one.time[bars]).cast(pa.timestamp("us", "UTC")),
            **{name: partial(lambda values: nullable(values[bars]), values) for name, values in one.fields.items()},
        }


@dataclass(frozen=True, eq=False)
class _Row:
    """Windows of one length of one series, or of several that stand in a row, as if they were one.

    The windows that begin in one series and end in another are computed like the others, and left out in the end.
    """

    chunks: Sequence[_Chunk]

    @property
    def interval(self) -> str:
        """Its name."""
        return self.chunks[0].interval

    @property
    def rows(self) -> int:
        """Bars of a window."""
        return int(self.chunks[0].lengths[0])

    @property
    def own(self) -> Bools:
        """Which windows are of one series; shape (windows,)."""
        parts = [np.arange(1 - self.rows, len(chunk.ends)) >= 0 for chunk in self.chunks]
        return np.concatenate(parts)[self.rows - 1 :]

    def panel(self, names: set[str], totals: Sequence[Mapping[str, Floats | None]]) -> Windows:
        """The windows as a panel of some fields; ``totals`` are those of each chunk's series."""
        newest = slice(self.rows - 1, None)
        times, symbols, moments = [], [], []
        fields: dict[str, list[Floats]] = defaultdict(list)
        sums: dict[str, list[Floats]] = defaultdict(list)
        for chunk, its_totals in zip(self.chunks, totals, strict=True):
            now, values, known = chunk.known(names, its_totals)
            part = slice(int(chunk.ends[0]) + 1 - self.rows, int(chunk.ends[-1]) + 1)
            times.append(chunk.series.time[part])
            moments.append(now[part])
            symbols += [chunk.series.symbol] * len(times[-1])
            for into, some in ((fields, values), (sums, known)):
                for name, of_all in some.items():
                    into[name].append(of_all[part])
        return Windows(
            self.interval,
            symbols[newest],
            self.rows,
            np.concatenate(times),
            {name: np.concatenate(parts) for name, parts in fields.items()},
            np.concatenate(moments)[newest],
            {name: np.concatenate(parts)[newest] for name, parts in sums.items()},
        )

    def sliding_rows(self, newest: int, reads: Callable[[Iterable[str]], list[str]]) -> pa.Table:
        """The bars that are among the newest of some window, each once, for ``SqlIndicators.load_sliding``."""
        tables, place, back = [], 1 - newest, newest
        for chunk in self.chunks:
            bars = np.arange(chunk.ends[0] + 1 - back, chunk.ends[-1] + 1)
            columns: dict[str, Callable[[], Any]] = {
                "n": partial(np.full, len(bars), self.rows),
                **chunk.columns(bars),
            }
            places = np.arange(place, place + len(bars))
            tables.append(pa.table({"place": places, **{name: columns[name]() for name in reads(columns)}}))
            place, back = place + len(bars), self.rows
        return pa.concat_tables(tables)


@dataclass(frozen=True, eq=False)
class _Joined:
    """Some chunks of one interval with their panels, and where the columns of each are in the panel of all."""

    chunks: Sequence[tuple[_Chunk, Panel]]
    places: Sequence[Ints]

    @property
    def interval(self) -> str:
        """Its name."""
        return self.chunks[0][0].interval

    def ranked(self, _: Panel, newest: int, reads: Callable[[Iterable[str]], list[str]]) -> pa.Table:
        """As of a chunk."""
        tables = []
        for (chunk, panel), places in zip(self.chunks, self.places, strict=True):
            table = chunk.ranked(panel, newest, reads)
            column = table.column_names.index("series")
            tables.append(table.set_column(column, "series", pa.array(places[table["series"].to_numpy()])))
        return pa.concat_tables(tables)


#: A chunk, and the market's totals at all rows of its series.
_WithTotals: TypeAlias = tuple[_Chunk, dict[str, "Floats | None"]]


def _together(chunks: Sequence[tuple[_Chunk, Panel]]) -> tuple[_Joined, Panel]:
    """The windows of some chunks as one panel."""
    panel, places = joined([panel for _, panel in chunks])
    as_of = np.empty(panel.series, dtype=np.int64)
    as_of[np.concatenate(places)] = np.concatenate([panel.as_of for _, panel in chunks])
    return _Joined(chunks, places), replace(panel, as_of=as_of)


def _chunks(series: Series, since: int, until: int, lanes: bool, *, side_by_side: bool = False) -> Iterator[_Chunk]:
    """The windows that end in a range of time, in order, cut into what is computed together.

    ``side_by_side``: with those of other series in a row, so that fewer of them are enough.
    """
    lengths = series.lengths
    ends = np.flatnonzero((series.time >= since) & (series.time < until))
    if not len(ends):
        return
    # Runs of windows of one length; those too short for lanes are gathered until a longer one comes.
    begins = np.flatnonzero(np.diff(lengths[ends], prepend=-1))
    gathered = begins[:0]
    for run in np.split(ends, begins[1:]):
        rows = lengths[run[0]]
        fewest = (rows - 1) / _STRADDLING if side_by_side else FEWEST
        if lanes and len(run) >= fewest and rows > 1:
            yield from _cut(series, gathered, lengths[gathered], COPIED, sliding=False)
            yield from _cut(series, run, lengths[run], TOGETHER, sliding=True)
            gathered = begins[:0]
        else:
            gathered = np.concatenate([gathered, run])
    yield from _cut(series, gathered, lengths[gathered], COPIED, sliding=False)


def _cut(series: Series, ends: Ints, lengths: Ints, most: int, *, sliding: bool) -> Iterator[_Chunk]:
    for start in range(0, len(ends), most):
        part = slice(start, start + most)
        yield _Chunk(series, ends[part], lengths[part], sliding)


def _computed(
    indicators: Sequence[Indicator],
    chunk: _Chunk | _Row | _Joined,
    panel: Panel,
    sql: SqlIndicators,
    observer: Observer,
    profile: str,
    coded: bool = False,
    parameters: Mapping[Indicator, Parameters] = MappingProxyType({}),
) -> dict[Indicator, pa.Table]:
    found: dict[Indicator, pa.Table] = {}
    in_numpy = [declared for declared in indicators if declared.function(profile)]
    source = indicators[0].source

    def compute(some: Sequence[Indicator]) -> None:
        bars, metrics = (panel, None) if source == "candles" else (None, panel)
        found.update(computed(some, bars, metrics, sql, "", observer, profile, coded, parameters))

    compute(in_numpy)
    in_sql = [declared for declared in indicators if not declared.function(profile) and declared.covers(chunk.interval)]
    newest: dict[int, list[Indicator]] = defaultdict(list)
    for declared in in_sql:
        newest[min(declared.bars_read(parameters.get(declared), profile), panel.rows)].append(declared)
    if in_sql and isinstance(chunk, _Row):
        sql.load_sliding(chunk.sliding_rows(max(newest), partial(sql.reads, in_sql, profile=profile)))
    for count, some in newest.items():
        # A statement sees the bars that it reads, no more: those of neighbouring windows are the same.
        if isinstance(chunk, _Row):
            sql.read_windows(panel.series, count, source)
        else:
            sql.load_ranked(chunk.ranked(panel, count, partial(sql.reads, some, profile=profile)), source)
        compute(some)
    return found
