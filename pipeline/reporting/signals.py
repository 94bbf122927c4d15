"""What the newest bars say: the words of every series, and those of the bar before where they were others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...indicators.registry import INDICATORS
from ..base.intervals import INTERVALS
from ..base.statements import identifier, join, render, statement
from ..results.changes import categories

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import duckdb

    from ...indicators.contract import Column, Indicator
    from ..results.changes import Change


@dataclass(frozen=True)
class Bar:
    """The newest bar of a series.

    Attributes:
        start: when it began.
        close: its newest price.
        before: the close of the bar before it; None: there is none.
    """

    symbol: str
    interval: str
    start: datetime
    close: float
    before: float | None


@dataclass(frozen=True)
class Signal:
    """A column of words at the newest bar of each series.

    Attributes:
        now: by series, when its row's bar began and the word, as the indicator has it.
        before: by series, the word of the bar before, where it is another one; None: there was none.
    """

    indicator: Indicator
    column: Column
    now: dict[tuple[str, str], tuple[datetime, str]]
    before: dict[tuple[str, str], str | None] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Its name in the page."""
        return f"{self.indicator.id}.{self.column.name}"


def read_bars(connection: duckdb.DuckDBPyConnection) -> list[Bar]:
    """The newest bar of every series of the work file, by symbol, then by interval from the shortest on."""
    places = list(INTERVALS)
    rows = connection.execute(statement("workfile/newest_bars")).to_arrow_table().to_pylist()
    bars = [Bar(row["symbol"], row["interval"], row["bucket_ts"], row["close"], row["before"]) for row in rows]
    return sorted(bars, key=lambda bar: (bar.symbol, places.index(bar.interval)))


def read_signals(connection: duckdb.DuckDBPyConnection) -> list[Signal]:
    """The columns of words of the work file, in the order of the indicators; one that has no word is left out."""
    found = []
    for declared in INDICATORS.values():
        signals = [Signal(declared, column, {}) for column in categories(declared)]
        if not signals:
            continue
        names = join([identifier(signal.column.name) for signal in signals])
        query = render(statement("workfile/words"), words=names, indicator=identifier(declared.id))
        table = connection.execute(query).to_arrow_table()
        for symbol, interval, start, *words in zip(*(column.to_pylist() for column in table.columns), strict=True):
            for signal, word in zip(signals, words, strict=True):
                if word is not None:
                    signal.now[symbol, interval] = start, word
        found += [signal for signal in signals if signal.now]
    return found


def add_changes(signals: Iterable[Signal], changes: Iterable[Change]) -> None:
    """Take in what changed at the newest rows of the result database, as far as these are those of the work file."""
    by_key = {signal.key: signal for signal in signals}
    for change in changes:
        series = change.symbol, change.interval
        signal = by_key.get(f"{change.indicator}.{change.column}")
        if signal and signal.now.get(series) == (change.bucket_ts, change.now):
            signal.before[series] = change.before
