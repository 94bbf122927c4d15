"""One task of a backfill: from its exported bars to its files and its record.

A task says all that decides over its files, and its id stands for that. So it can be computed wherever the store can
be reached, by any engine, twice, and side by side: whoever comes second replaces files by the same ones.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...indicators.fields import METRICS_ROWS
from ...indicators.registry import INDICATORS
from ..base.duck import open_duckdb
from ..base.intervals import INTERVALS
from ..compute import compiler
from ..compute.history import Series, history_of, series_of_candles, series_of_futures
from ..compute.sql import SqlIndicators
from ..record import Observer
from ..source.reader import METRICS_WINDOW
from . import folder
from .export import TOTAL, digest_of
from .machine import computed_by
from .plan import code_version, digest
from .verify import check

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ...indicators.contract import Bools, Floats, Indicator, Ints
    from .store import Store

#: Windows of a symbol that are computed at once, and fewest rows of a group in a file but the last. What is done once
#: for all of them costs as much as 2000 of them; a process of so many takes some 490 MB.
_SLICE = _GROUP = 16_384
#: Errors of indicators that a record lists.
_MOST_ERRORS = 20

Record = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """What is computed, of plain values.

    Attributes:
        name: how its id begins.
        interval: its name.
        symbols: sorted.
        since: from which start of a bar on there are rows, microseconds since the epoch.
        until: before which.
        exchange: of the bars.
        profile: whose values.
        lookback: bars of a window.
        forming: see ``Source.forming``.
        indicators: their ids.
        bars: the name of the exported bars.
        metrics: the names of the exported metrics, in the order of time.
        exported: digests of these, the bars first.
        version: of the code.
    """

    name: str
    interval: str
    symbols: tuple[str, ...]
    since: int
    until: int
    exchange: str
    profile: str
    lookback: int
    forming: int
    indicators: tuple[str, ...]
    bars: str
    metrics: tuple[str, ...]
    exported: tuple[str, ...]
    version: str

    @property
    def id(self) -> str:
        """Stands for all of it."""
        return f"{self.name}-{digest(asdict(self))}"

    @property
    def declared(self) -> list[Indicator]:
        """The indicators that cover its interval."""
        return [INDICATORS[name] for name in self.indicators if INDICATORS[name].covers(self.interval)]


@dataclass(frozen=True)
class Market:
    """The series of some symbols at an interval, and the market's totals at each metrics row by symbol and field."""

    bars: Mapping[str, Series]
    metrics: Mapping[str, Series]
    totals: Mapping[str, Mapping[str, Floats]]
    left_out: Counter[str]

    @classmethod
    def of(cls, bars: pa.Table, metrics: pa.Table | None, interval: str, lookback: int, forming: int) -> Market:
        """The series of what was read."""
        found, left_out = series_of_candles(bars, INTERVALS[interval], lookback, forming=forming)
        futures: dict[str, Series] = {}
        totals: dict[str, dict[str, Floats]] = {}
        if metrics is not None:
            futures, others = series_of_futures(metrics, INTERVALS[interval], METRICS_ROWS, METRICS_WINDOW)
            left_out += others
            times, first = np.unique(metrics["bucket_ts"].cast(pa.int64()).to_numpy(), return_index=True)
            for symbol, series in futures.items():
                places = first[np.searchsorted(times, series.time)]
                totals[symbol] = {
                    name.removeprefix(TOTAL): metrics[name].to_numpy()[places]
                    for name in metrics.column_names
                    if name.startswith(TOTAL)
                }
        return cls(found, futures, totals, left_out)

    def history(
        self,
        symbol: str,
        indicators: Sequence[Indicator],
        since: int,
        until: int,
        sql: SqlIndicators,
        observer: Observer,
        profile: str,
        lanes: bool,
    ) -> Iterator[dict[Indicator, pa.Table]]:
        """The rows of a symbol in a range, in slices of some bars; none of a symbol without bars, as a run has none."""
        bars, metrics = self.bars.get(symbol), self.metrics.get(symbol)
        if bars is None:
            return
        inside = bars.time[(bars.time >= since) & (bars.time < until)]
        edges = [since, *inside[_SLICE::_SLICE].tolist(), until]
        compute = partial(
            history_of, indicators, bars, metrics, sql=sql, observer=observer, profile=profile, lanes=lanes,
            coded=True, totals=self.totals.get(symbol),
        )  # fmt: skip
        for begin, end in pairwise(edges):
            found = compute(begin, end)
            if metrics is not None:
                seen = metrics.time[(metrics.time >= begin) & (metrics.time < end)]
                with_bars = pa.array(traded(bars, metrics, seen))
                found = {
                    declared: rows.filter(with_bars) if declared.source == "metrics" else rows
                    for declared, rows in found.items()
                }
            yield found


def traded(bars: Series, metrics: Series, times: Ints) -> Bools:
    """Whether a run that sees metrics rows of some times as its newest sees a bar, too; else it writes none of them."""
    at = np.searchsorted(metrics.time, times)
    ends = metrics.ends[at]
    seen = np.searchsorted(bars.time, ends, side="right")
    oldest = np.searchsorted(bars.time, bars.begins(ends), side="right")
    return np.asarray(seen > oldest)


class _Errors(Observer):
    def __init__(self) -> None:
        self.found: list[str] = []

    def fail(self, table: str, symbol: str, interval: str, message: str) -> None:
        """Keep what went wrong, once."""
        line = f"{table} {symbol} {interval}: {message}"
        if line not in self.found and len(self.found) < _MOST_ERRORS:
            self.found.append(line)


class RefusedError(Exception):
    """A task is not what whoever is to compute it would compute."""


def perform(task: Task, store: Store, *, lanes: bool = False, verify: int = 0) -> Record:
    """Compute a task, unless it has a record.

    Its files appear one by one, each whole; the record that makes them count comes last.

    Args:
        task: what to compute.
        store: of the backfill.
        lanes: whether windows may be computed in compiled lanes.
        verify: random windows that are computed by the definition, too; those of a task that has a record, as well.

    Returns:
        The record: the task, its rows, its files with their bytes, which errors indicators had, and what computed it.

    Raises:
        RefusedError: this is another version of the code, or the exported bars are not those of the task.
        DifferenceError: a value is not the definition's; nothing was committed.
        OSError: a file could not be read or written; nothing was committed.
    """
    if task.version != code_version():
        raise RefusedError(f"the task is of version {task.version}, and this is {code_version()}: install the same")
    bars, metrics = _exported(task, store)
    if (found := folder.read_record(store, task.id)) is not None:
        if verify:
            made = {name: store.open(folder.part_of(name, task.interval, task.id)) for name in found["rows"]}
            check(task, bars, metrics, made, verify)
        return found
    if lanes:
        compiler.keep()
    market = Market.of(bars, metrics, task.interval, task.lookback, task.forming)
    files = _Files(task, store)
    errors = _Errors()
    try:
        with open_duckdb() as connection:
            sql = SqlIndicators(connection)
            for symbol in task.symbols:
                for rows in market.history(
                    symbol, task.declared, task.since, task.until, sql, errors, task.profile, lanes
                ):
                    files.add(rows)
        files.close()
        if verify:
            check(task, bars, metrics, files.drafts, verify)
        sizes = files.publish()
    except BaseException:
        files.discard()
        raise
    record: Record = {
        "id": task.id,
        "task": asdict(task),
        "symbols": sorted(market.bars),
        "rows": files.rows,
        "files": sizes,
        "left_out": dict(market.left_out),
        "errors": errors.found,
        "computed_by": computed_by(),
    }
    folder.write_json(store, folder.record_of(task.id), record)
    return record


def _exported(task: Task, store: Store) -> tuple[pa.Table, pa.Table | None]:
    names = [folder.bars_of(*named) for named in zip((task.bars, *task.metrics), task.exported, strict=True)]
    content = store.read(names[0])
    if content is None or digest_of(content) != task.exported[0]:
        raise RefusedError(f"{names[0]} is not what was exported: remove it and give the same command again")
    bars = pq.read_table(pa.BufferReader(content), use_threads=False)
    chosen = pc.field("symbol").isin(task.symbols)
    metrics = [
        # Of a whole market's rows those that are wanted: their pages tell whether they are what was written.
        pq.read_table(store.open(name), filters=chosen, use_threads=False, page_checksum_verification=True)
        for name in names[1:]
    ]
    return bars, pa.concat_tables(metrics).combine_chunks() if metrics else None


class _Files:
    """The files of a task while they are written, one for each indicator that has rows."""

    def __init__(self, task: Task, store: Store) -> None:
        self._task, self._store = task, store
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._waiting: dict[str, list[pa.Table]] = defaultdict(list)
        #: Drafts by indicator.
        self.drafts: dict[str, Path] = {}
        #: Rows by indicator.
        self.rows: dict[str, int] = {}

    def add(self, found: Mapping[Indicator, pa.Table]) -> None:
        """Take rows, which are after all others in the order of symbol and time."""
        for declared, rows in found.items():
            if rows.num_rows:
                self._waiting[declared.id].append(rows.drop_columns("interval"))
        for name, tables in list(self._waiting.items()):
            if sum(table.num_rows for table in tables) >= _GROUP:
                self._write(name)

    def close(self) -> None:
        """Write what is left."""
        for name in list(self._waiting):
            self._write(name)
        for writer in self._writers.values():
            writer.close()

    def publish(self) -> dict[str, int]:
        """Give the files their names. Returns their bytes by name."""
        parts = {draft: folder.part_of(name, self._task.interval, self._task.id) for name, draft in self.drafts.items()}
        sizes = {part: draft.stat().st_size for draft, part in parts.items()}
        self._store.publish(parts)
        return sizes

    def discard(self) -> None:
        """Remove the drafts."""
        for draft in self.drafts.values():
            draft.unlink(missing_ok=True)

    def _write(self, name: str) -> None:
        table = pa.concat_tables(self._waiting.pop(name)).combine_chunks()
        if name not in self._writers:
            self.drafts[name] = self._store.draft(folder.part_of(name, self._task.interval, self._task.id))
            self._writers[name] = _writer(self.drafts[name], table.schema)
        self._writers[name].write_table(table)
        self.rows[name] = self.rows.get(name, 0) + table.num_rows


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer whose files cost little to make, and little room.

    Times of bars are as far from each other as they always are. Numbers hardly repeat, so looking for those that do
    costs more than it saves. Whoever reads texts need not know that they came coded.
    """
    delta = {"bucket_ts": "DELTA_BINARY_PACKED"}
    coded = [field.name for field in schema if field.name not in delta and not pa.types.is_floating(field.type)]
    return pq.ParquetWriter(
        file, schema, compression="zstd", use_dictionary=coded, column_encoding=delta, store_schema=False
    )
