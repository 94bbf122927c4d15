"""The rows of one result table as SQLite shall hold them: named, rounded, times as text, in the order of their keys."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...indicators import arrow
from ...indicators.kinds import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...indicators.contract import Bools, Column, Indicator

SYMBOL, INTERVAL, DATA_TIME = KEY = ("交易对", "周期", "数据时间")


class Keys:
    """The keys of some finished rows, in key order. Tables of the same series share them.

    Attributes:
        order: places in the finished rows.
        columns: symbol, interval and time as SQLite shall hold them, by label.
        rows: place in key order of each (symbol, interval, time).
        newest: newest time of each (symbol, interval).
    """

    def __init__(self, rows: pa.Table) -> None:
        keys = ["symbol", "interval", "bucket_ts"]
        self.order = arrow.in_order(rows, keys)
        self._from = rows.select(keys)
        symbols, intervals, times = (column.combine_chunks() for column in arrow.taken(self._from, self.order).columns)
        texts = iso(arrow.cast(times, pa.int64()).to_numpy())
        self.columns = {SYMBOL: symbols, INTERVAL: intervals, DATA_TIME: pa.array(texts)}
        keyed = list(zip(symbols.to_pylist(), intervals.to_pylist(), texts.tolist(), strict=True))
        self.rows = {key: place for place, key in enumerate(keyed)}
        self.newest = {(symbol, interval): time for symbol, interval, time in keyed}

    def fit(self, rows: pa.Table) -> bool:
        """Whether these are the keys of the rows."""
        return self._from.equals(rows.select(self._from.column_names))

    @cached_property
    def at(self) -> dict[tuple[str, str], dict[str, int]]:
        """Place in key order of each symbol, by (interval, time)."""
        found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for (symbol, interval, time), place in self.rows.items():
            found[interval, time][symbol] = place
        return dict(found)

    @cached_property
    def _times(self) -> dict[str, set[str]]:
        times: dict[str, set[str]] = defaultdict(set)
        for interval, time in self.at:
            times[interval].add(time)
        return times

    @cached_property
    def last_of_all(self) -> dict[str, str]:
        """By interval, the oldest of its symbols' newest times."""
        found: dict[str, str] = {}
        for (_, interval), time in self.newest.items():
            found[interval] = min(time, found.get(interval, time))
        return found

    @cached_property
    def oldest(self) -> dict[str, str]:
        """The oldest time of each interval."""
        return {interval: min(times) for interval, times in self._times.items()}

    @cached_property
    def day_before(self) -> dict[str, str]:
        """The date of the day before the oldest time of each interval."""
        return {interval: day_before(time) for interval, time in self.oldest.items()}

    @cached_property
    def since(self) -> str:
        """Each interval with its oldest time and the date of the day before, as a JSON list of lists."""
        return json.dumps([[interval, time, self.day_before[interval]] for interval, time in self.oldest.items()])

    @cached_property
    def latest(self) -> dict[str, str]:
        """The newest time of each interval."""
        return {interval: max(times) for interval, times in self._times.items()}


@dataclass(frozen=True)
class Batch:
    """Rows to write into one table.

    Attributes:
        keys: their keys.
        table: one column per label, the keys first, in key order.
        valued: which rows have values, shape (rows,): those of a series that is too short have none.
    """

    keys: Keys
    table: pa.Table
    valued: Bools

    def places(self, times: Sequence[tuple[str, str]], keys: Sequence[tuple[str, str, str]]) -> set[int]:
        """Places in key order of the rows of some times (interval, time), and of some keys."""
        found = {self.keys.rows[key] for key in keys if key in self.keys.rows}
        if times:
            wanted = set(times)
            found.update(place for key, place in self.keys.rows.items() if key[1:] in wanted)
        return found

    def without(self, places: set[int]) -> Batch:
        """The batch without some rows, given by their place in key order."""
        wanted = np.array([place not in places for place in range(self.table.num_rows)])
        return Batch(self.keys, arrow.filtered(self.table, pa.array(wanted)), self.valued[wanted])


def day_before(time: str) -> str:
    """The date of the day before a time, as a text that is below all texts of that time; empty where there is none."""
    try:
        return str(datetime.fromisoformat(time).date() - timedelta(days=1))
    except OverflowError:
        return ""


class Batches:
    """Batches of indicators' finished rows, each made once."""

    def __init__(self) -> None:
        self._keys: list[Keys] = []
        self._made: dict[Indicator, Batch] = {}

    def of(self, results: Iterable[tuple[Indicator, pa.Table]]) -> dict[Indicator, Batch]:
        """The batches of some indicators; those without rows are left out."""
        return {indicator: self._of(indicator, rows) for indicator, rows in results if rows.num_rows}

    def _of(self, indicator: Indicator, rows: pa.Table) -> Batch:
        if indicator not in self._made:
            keys = next((keys for keys in self._keys if keys.fit(rows)), None)
            if keys is None:
                keys = Keys(rows)
                self._keys.append(keys)
            self._made[indicator] = _batch(indicator, arrow.taken(rows, keys.order), keys)
        return self._made[indicator]


def telling(indicator: Indicator) -> list[Column]:
    """The columns that have a value only where the row has values: those that no short row fills."""
    return [column for column in indicator.columns if column.name not in indicator.stored.short]


def _batch(indicator: Indicator, rows: pa.Table, keys: Keys) -> Batch:
    valued = np.zeros(rows.num_rows, dtype=np.bool_)
    for column in telling(indicator):
        valued |= arrow.call("is_valid", rows[column.name]).to_numpy()
    rounding = indicator.stored.rounding
    # Rounded on the way: the work file keeps full precision.
    values = {
        indicator.label(column): column.kind.written(rows[column.name].combine_chunks(), rounding.get(column.name))
        for column in indicator.columns
    }
    return Batch(keys, pa.table({**keys.columns, **values}), valued)
