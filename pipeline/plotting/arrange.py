"""Where each column of an indicator is drawn: over the candles, in a panel of its own, or as a lane of categories."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...indicators.contract import BAR_FIELDS
from ...indicators.kinds import TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...indicators.contract import Array
    from .history import Series, Track

#: Units of columns that speak of the moment of the run, not of the bar.
_OF_THE_RUN = ("seconds", "flag")


@dataclass(frozen=True)
class Lane:
    """A category at every drawn bar: the texts that occur, in the order of their first bar, and where each holds."""

    track: Track
    texts: tuple[str, ...]

    @property
    def key(self) -> str:
        """What the numbers in the lane stand for."""
        return f"{self.track.name}: {', '.join(f'{n} = {text}' for n, text in enumerate(self.texts, 1))}"

    def label(self, number: int) -> str:
        """What stands in the lane for a text: itself where every font has its letters, else its number."""
        text = self.texts[number - 1]
        return text if text.isascii() else str(number)

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Stretches of bars with one text: the text's number from 1, the first bar, the bar after the last."""
        values = self.track.values
        edges = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
        for begin, end in pairwise(edges):
            if values[begin] is not None:
                yield self.texts.index(values[begin]) + 1, begin, end


@dataclass(frozen=True)
class Arrangement:
    """All there is to draw besides candles and volume.

    Attributes:
        overlays: prices, drawn over the candles.
        panels: the other numbers, by indicator and unit.
        lanes: the categories.
        empty: indicators without any value at the drawn bars.
    """

    overlays: list[Track] = field(default_factory=list)
    panels: dict[tuple[str, str], list[Track]] = field(default_factory=dict)
    lanes: list[Lane] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def arranged(series: Series, tracks: Sequence[Track]) -> Arrangement:
    """Every track at its place. One that repeats the bar, or a column of its indicator, is drawn once only."""
    to_draw = Arrangement()
    bar = [series.field(name) for name in BAR_FIELDS]
    seen: dict[str, list[Array]] = {}
    valued = {track.indicator.id for track in tracks if _has_values(track)}
    to_draw.empty.extend(dict.fromkeys(track.indicator.id for track in tracks if track.indicator.id not in valued))
    for track in tracks:
        if not _has_values(track) or track.column.unit in _OF_THE_RUN:
            continue
        if track.column.kind is TEXT:
            texts = tuple(dict.fromkeys(text for text in track.values if text is not None))
            if not (track.column.free or track.column.listed):
                to_draw.lanes.append(Lane(track, texts))
            continue
        before = seen.setdefault(track.indicator.id, [*bar])
        known = np.isfinite(track.values)
        if any(np.array_equal(track.values[known], other[known]) for other in before):
            continue
        before.append(track.values)
        # A price of 0 says that there is none.
        prices = np.where(track.values == 0, np.nan, track.values)
        if track.column.role == "level":
            to_draw.overlays.append(replace(track, values=prices))
        else:
            to_draw.panels.setdefault((track.indicator.id, track.column.unit), []).append(track)
    return to_draw


def _has_values(track: Track) -> bool:
    if track.column.kind is TEXT:
        return any(text is not None for text in track.values)
    return bool(np.isfinite(track.values).any())
