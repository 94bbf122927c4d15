"""What has changed: the words of each series' newest bar beside those of the bar before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ...indicators.contract import Column, Indicator

Texts: TypeAlias = "tuple[str | None, ...]"


@dataclass(frozen=True)
class Change:
    """A category column whose word at a series' newest bar is another one than at the bar before.

    Attributes:
        bucket_ts: start of the newest bar.
        indicator: its id.
        column: its English name.
        before: the word at the bar before it, as the result database has it; None: it had none.
        now: the word at the newest bar.
    """

    symbol: str
    interval: str
    bucket_ts: datetime
    indicator: str
    column: str
    before: str | None
    now: str | None


def categories(indicator: Indicator) -> list[Column]:
    """The columns of an indicator whose values are words of a vocabulary."""
    return [column for column in indicator.columns if column.words]


@dataclass
class _Bar:
    """The newest bar of a series: its words, those of the bar before it, and which changes were told of it."""

    start: datetime
    words: Texts
    before: Texts | None = None
    told: set[tuple[str, str | None]] = field(default_factory=set)


class Words:
    """The words of the newest two bars of each series of each indicator, as far as they were seen."""

    def __init__(self) -> None:
        self._bars: dict[tuple[str, str, str], _Bar] = {}

    def see(self, indicator: Indicator, symbol: str, interval: str, start: datetime, words: Texts) -> list[Change]:
        """Take in the row of a bar, which may form and come again. Returns its changes, each of them once.

        A row without any word stands for a bar without values, and is passed over; so is one of an older bar.

        Args:
            indicator: whose row it is.
            symbol: of the series.
            interval: of the series.
            start: of the bar.
            words: by ``categories``.
        """
        key = indicator.id, symbol, interval
        known = self._bars.get(key)
        if words.count(None) == len(words) or (known and start < known.start):
            return []
        if known is None or start > known.start:
            known = self._bars[key] = _Bar(start, words, known.words if known else None)
        known.words = words
        if known.before is None:
            return []
        changes = []
        for column, before, now in zip(categories(indicator), known.before, words, strict=True):
            if now != before and (column.name, now) not in known.told:
                known.told.add((column.name, now))
                changes.append(Change(symbol, interval, start, indicator.id, column.name, before, now))
        return changes


def in_order(changes: Sequence[Change], intervals: Sequence[str], indicators: Sequence[Indicator]) -> list[Change]:
    """Changes by symbol, interval and indicator, in the order of the names given."""
    ids = {declared.id: place for place, declared in enumerate(indicators)}
    places = {name: place for place, name in enumerate(intervals)}
    return sorted(changes, key=lambda change: (change.symbol, places[change.interval], ids[change.indicator]))
