"""What a picture of a market consists of, by the roles that the columns declare: no indicator is known here.

An arrangement knows neither colours nor formats. Two modules draw it: ``candles`` to PNG and SVG, ``interactive`` to
what a page draws.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...indicators.contract import BAR_FIELDS
from ...indicators.kinds import TEXT, TIME
from ...indicators.roles import tone
from ..settings import unknown
from .numbers import short

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ...indicators.contract import Array, Column, Floats, Indicator, Ints
    from ...indicators.roles import Tone
    from .history import Series, Track

#: Lines that may lie over the candles; an indicator with which they would be more gets a panel.
_MOST_LINES = 8
#: Shapes that are drawn over the candles.
_OVER = ("level", "step", "flips", "upper", "lower", "top", "bottom", "cloud", "cloud_base")
#: Shapes that are the edges of something.
_EDGES = {
    "upper": "band", "lower": "band", "top": "zone", "bottom": "zone", "cloud": "cloud", "cloud_base": "cloud",
}  # fmt: skip
#: Shapes whose values hold until others take their place.
_HELD = ("step", "top", "bottom")
#: Bars that there is room for names at in the width of a picture.
_MOST_NAMED = 60
#: Share of the width that the fullest bin of a profile takes.
WIDEST = 0.25


@dataclass(frozen=True)
class Curve:
    """Values over the bars as a line or as bars from 0.

    Attributes:
        owner: its indicator with the parameters, such as ``bollinger(20, 2)``.
        column: its column.
        values: shape (drawn,), NaN where there is none.
        newest: the value at the newest bar, for the key; NaN where there is none.
        form: what is drawn: a line, a line in steps, or bars in the colours of long and short above and below 0.
        tone: what its colour says.
        hue: which of the colours of lines a neutral one has.
        group: what is switched on and off together with it.
        listed: whether it is in the key.
        shift: bars by which it is drawn ahead.
    """

    owner: str
    column: str
    values: Floats
    newest: float
    form: Literal["line", "step", "bars"]
    tone: Tone
    hue: int
    group: str
    listed: bool = True
    shift: int = 0

    @property
    def name(self) -> str:
        """Its whole name."""
        return f"{self.owner} {self.column}"


@dataclass(frozen=True)
class Area:
    """What lies between two curves, in the colour of long where the first lies above the second if it is a cloud."""

    first: Curve
    second: Curve
    cloud: bool


@dataclass(frozen=True)
class Pane:
    """Curves over one axis of values, and the values that it has dotted lines at."""

    unit: str
    curves: list[Curve] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    guides: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Word:
    """A word of a strip: as it is written, what it speaks for, and its number among those that speak for the same."""

    text: str
    tone: Tone
    rank: int


@dataclass(frozen=True)
class Strip:
    """A category at every drawn bar.

    Attributes:
        name: of the indicator and its column.
        words: those that occur, in the order of the declaration.
        codes: at each bar the place of its word, -1 where there is none; shape (drawn,).
    """

    name: str
    words: tuple[Word, ...]
    codes: Ints

    @property
    def newest(self) -> str:
        """The word of the newest bar."""
        return self.words[self.codes[-1]].text if self.codes[-1] >= 0 else "\N{EN DASH}"

    def runs(self) -> Iterator[tuple[Word, int, int]]:
        """Stretches of bars with one word: the word, the first bar, the bar after the last."""
        edges = [0, *(np.flatnonzero(np.diff(self.codes)) + 1).tolist(), len(self.codes)]
        for begin, end in pairwise(edges):
            if self.codes[begin] >= 0:
                yield self.words[self.codes[begin]], begin, end


@dataclass(frozen=True)
class Mark:
    """Names at a candle: below it where they speak for long, else above; ``label`` where there is room to write it."""

    bar: int
    names: tuple[str, ...]
    tone: Tone
    label: str


@dataclass(frozen=True)
class Profile:
    """Amounts by price over the newest bars: edges of the bins, amounts, fullest price and value area (or NaN)."""

    name: str
    edges: Floats
    amounts: Floats
    control: float
    low: float
    high: float
    bars: int

    @property
    def levels(self) -> tuple[tuple[str, float], ...]:
        """Its prices by name, those that it has."""
        named = (
            ("value area high", self.high), ("point of control", self.control), ("value area low", self.low),
        )  # fmt: skip
        return tuple((name, price) for name, price in named if np.isfinite(price))


@dataclass(frozen=True)
class Arrangement:
    """All there is to draw besides candles and volume.

    Attributes:
        over: what lies over the candles.
        panels: the other numbers.
        strips: the categories.
        marks: names at candles.
        profiles: amounts by price.
        notes: what a reader has to know, in a line each.
        empty: indicators without any value at the drawn bars.
    """

    over: Pane
    panels: list[Pane] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def asked_columns(names: Sequence[str], indicators: Sequence[Indicator]) -> frozenset[str]:
    """The names of tracks that a user asks for: ``upper`` of any of the indicators, ``bollinger.upper`` of one.

    Raises UsageError for a name that none of them has.
    """
    known: dict[str, set[str]] = {}
    for declared in indicators:
        for column in declared.columns:
            if column.kind is not TIME and not column.free:
                track = f"{declared.id}.{column.name}"
                known.setdefault(column.name, set()).add(track)
                known[track] = {track}
    for name in names:
        if name not in known:
            raise unknown("column", name, known)
    return frozenset(track for name in names for track in known[name])


def arranged(
    series: Series,
    tracks: Sequence[Track],
    *,
    columns: Collection[str] = (),
    words: Literal["en", "zh"] = "en",
    displaced: bool = False,
) -> Arrangement:
    """Every track in its place.

    Args:
        series: the bars.
        tracks: columns of indicators at the bars, those of an indicator beside each other.
        columns: names of tracks (``bollinger.upper``) to draw and no others; empty: those that are shown unasked.
        words: whether words are in English, or as the result database has them.
        displaced: whether lines are drawn ahead and back by as many bars as their field draws them.

    A column that repeats the bar, or another of its indicator, and looks like it, is drawn where it is asked for only.
    """
    found = Arrangement(Pane("price"))
    by_indicator: dict[str, list[Track]] = {}
    for track in tracks:
        by_indicator.setdefault(track.indicator.id, []).append(track)
    for own in by_indicator.values():
        if not any(_has_values(track) for track in own):
            found.empty.append(own[0].indicator.id)
            continue
        _Arranging(series, own, found, words, displaced).add(_drawn(series, own, columns, displaced))
    return found


def _drawn(series: Series, own: Sequence[Track], columns: Collection[str], displaced: bool) -> list[Track]:
    """The tracks of an indicator that are drawn: those asked for, or those shown unasked that repeat nothing."""
    if columns:
        return [track for track in own if track.name in columns and _has_values(track)]
    seen = [series.field(name) for name in BAR_FIELDS]
    chosen = []
    for track in own:
        if not track.column.role.shown or not _has_values(track):
            continue
        own_look = track.column.role.tone != "neutral" or (displaced and track.column.role.shift)
        if track.column.kind is not TEXT and not own_look:
            known = np.isfinite(track.values)
            if any(np.array_equal(track.values[known], other[known]) for other in seen):
                continue
            seen.append(track.values)
        chosen.append(track)
    return chosen


class _Arranging:
    """Puts the columns of one indicator into an arrangement."""

    def __init__(
        self, series: Series, own: Sequence[Track], found: Arrangement, words: Literal["en", "zh"], displaced: bool
    ) -> None:
        self.series, self.found, self.words, self.displaced = series, found, words, displaced
        self.by_name = {track.column.name: track for track in own}
        self.indicator = own[0].indicator
        self.name = _named(self.indicator)

    def add(self, tracks: Sequence[Track]) -> None:
        """Add tracks of the indicator."""

        def of(*shapes: str) -> list[Track]:
            return [track for track in tracks if track.column.role.shape in shapes and not track.column.free]

        over = of(*_OVER)
        if over:
            self._over(over)
        self._panels(of("line", "histogram", "bar"))
        self._profile(of("control", "area_high", "area_low"))
        self.found.strips.extend(self._strip(track) for track in of("strip"))
        for track in of("marks"):
            self.found.marks.extend(self._marks(track))
        self._note_shifts(over)

    def _over(self, tracks: Sequence[Track]) -> None:
        pane = self.found.over
        if sum(curve.listed for curve in pane.curves) + len(tracks) > _MOST_LINES:
            pane = Pane("price")
            self.found.panels.append(pane)
        edges: dict[str, Curve] = {}
        for track in tracks:
            shape = track.column.role.shape
            # A price of 0 says that there is none.
            values = np.where(track.values == 0, np.nan, track.values)
            if shape == "flips":
                pane.curves.extend(self._flips(track, values))
                continue
            kind = _EDGES.get(shape)
            other = edges.pop(kind, None) if kind else None
            curve = self._curve(track, values, pane, hue=other.hue if other else None)
            pane.curves.append(curve)
            if kind and other:
                first, second = (other, curve) if shape in ("lower", "bottom", "cloud_base") else (curve, other)
                pane.areas.append(Area(first, second, kind == "cloud"))
            elif kind:
                edges[kind] = curve

    def _curve(self, track: Track, values: Floats, pane: Pane, *, hue: int | None = None) -> Curve:
        role = track.column.role
        used = {curve.hue for curve in pane.curves if curve.tone == "neutral"}
        return Curve(
            owner=self.name,
            column=track.column.name,
            values=values,
            newest=float(values[-1]),
            form="bars" if role.shape == "histogram" else "step" if role.shape in _HELD else "line",
            tone=role.tone,
            hue=len(used) if hue is None else hue,
            group=f"{self.indicator.id} {_EDGES.get(role.shape, track.column.name)}",
            shift=role.shift if self.displaced else 0,
        )

    def _flips(self, track: Track, values: Floats) -> Iterator[Curve]:
        """A line in two parts: where its side is long, and where it is not."""
        other = self.by_name[track.column.role.side]
        said = [_english(other.column, text) for text in other.values]
        long = np.array([tone(word) == "long" for word in said], dtype=np.bool_)
        newest: Tone = "long" if long[-1] else "short"
        sides: tuple[Tone, Tone] = ("long", "short")
        for side in sides:
            part = np.where(long if side == "long" else ~long, values, np.nan)
            column = track.column.name
            yield Curve(self.name, column, part, float(values[-1]), "line", side, 0, track.name, listed=side == newest)

    def _panels(self, tracks: Sequence[Track]) -> None:
        panes: dict[str, Pane] = {}
        for track in tracks:
            name = track.column.role.panel or track.column.unit
            pane = panes.get(name)
            if pane is None or len(pane.curves) == _MOST_LINES:
                pane = panes[name] = Pane(track.column.unit)
                self.found.panels.append(pane)
            pane.curves.append(self._curve(track, track.values, pane))
            pane.guides.extend(guide for guide in track.column.role.guides if guide not in pane.guides)

    def _profile(self, tracks: Sequence[Track]) -> None:
        if not tracks or self.indicator.by_price is None:
            return
        newest = {track.column.role.shape: float(track.values[-1]) for track in tracks}
        panel = self.series.window_panel(self.indicator.inputs)
        edges, amounts = self.indicator.by_price(panel, self.indicator.defaults)
        control, low, high = (newest.get(shape, np.nan) for shape in ("control", "area_low", "area_high"))
        profile = Profile(self.name, edges, amounts, control, low, high, panel.rows)
        self.found.profiles.append(profile)
        levels = "".join(f", {name} {short(price)}" for name, price in profile.levels)
        self.found.notes.append(f"{self.name}: volume by price of the newest {panel.rows} bars{levels}")

    def _strip(self, track: Track) -> Strip:
        column, values = track.column, track.values
        declared = [*column.words, *(text for text in dict.fromkeys(values) if text not in column.words)]
        occurring = [text for text in declared if text is not None and (values == text).any()]
        ranks: Counter[Tone] = Counter()
        rank_of = {}
        for text in declared:
            if text is not None:
                said = tone(_english(column, text))
                rank_of[text] = (said, ranks[said])
                ranks[said] += 1
        codes = np.full(len(values), -1)
        for place, text in enumerate(occurring):
            codes[values == text] = place
        shown = tuple(Word(self._written(column, text), *rank_of[text]) for text in occurring)
        return Strip(f"{self.indicator.id} {column.name}", shown, codes)

    def _marks(self, track: Track) -> list[Mark]:
        """Names at the bars they belong to; what lasts is named where it begins."""
        column = track.column
        before: set[str] | None = None
        at: dict[int, list[str]] = {}
        for bar, value in enumerate(track.values):
            now = set(value.split(",")) if value is not None else set()
            words = value.split(",") if value is not None else []
            at[bar] = [
                word
                for word in words
                if tone(_english(column, word)) != "nothing"
                and not (word in column.lasting and (before is None or word in before))
            ]
            before = now
        often = Counter(word for words in at.values() for word in words)
        labelled = _labelled(at, often)
        marks = []
        for bar, words in at.items():
            if words:
                tones = Counter(tone(_english(column, word)) for word in words)
                names = tuple(self._written(column, word) for word in words)
                rarest = self._written(column, min(words, key=lambda word: often[word]))
                label = rarest + " …" * (len(words) > 1) if bar in labelled else ""
                marks.append(Mark(bar, names, _leaning(tones), label))
        if marks:
            written = sum(mark.label != "" for mark in marks)
            self.found.notes.append(f"{self.name}: names at {written} of {len(marks)} bars with any, the rarest first")
        return marks

    def _written(self, column: Column, text: str) -> str:
        return _english(column, text) if self.words == "en" else text

    def _note_shifts(self, tracks: Sequence[Track]) -> None:
        shifts: dict[int, list[str]] = {}
        for track in tracks:
            if track.column.role.shift:
                shifts.setdefault(track.column.role.shift, []).append(track.column.name)
        if shifts:
            parts = [
                f"{' and '.join(names)} {abs(shift)} bars {'ahead' if shift > 0 else 'back'}"
                for shift, names in shifts.items()
            ]
            how = "drawn" if self.displaced else "every value at its own bar; --displaced draws"
            self.found.notes.append(f"{self.name}: {how} {', '.join(parts)}")


def _labelled(at: Mapping[int, Sequence[str]], often: Mapping[str, int]) -> set[int]:
    """The bars whose names are written: those with the rarest, of these the newest, as far as there is room."""
    apart = max(1, -(-len(at) // _MOST_NAMED))
    by_rarity = sorted((min(often[word] for word in words), -bar) for bar, words in at.items() if words)
    chosen: set[int] = set()
    for _, negative in by_rarity:
        if not any(bar in chosen for bar in range(-negative - apart + 1, -negative + apart)):
            chosen.add(-negative)
    return chosen


def _leaning(tones: Mapping[Tone, int]) -> Tone:
    long, short = tones.get("long", 0), tones.get("short", 0)
    return "long" if long > short else "short" if short > long else "neutral"


def _english(column: Column, text: str | None) -> str:
    return column.words.get(text, text) if text is not None else ""


def _named(indicator: Indicator) -> str:
    """The indicator with its parameters, as a chart names it: ``bollinger(20, 2)``."""
    values = [
        f"{value[0]}…{value[-1]}" if isinstance(value, tuple) else f"{value:g}"
        for value in indicator.parameters.values()
    ]
    return f"{indicator.id}({', '.join(values)})" if values else indicator.id


def _has_values(track: Track) -> bool:
    if track.column.kind is TEXT:
        return any(text is not None for text in track.values)
    return bool(np.isfinite(track.values).any())


def broken(times: Array, length: np.timedelta64) -> Ints:
    """The bars before which others are missing."""
    holes: Ints = np.flatnonzero(np.diff(times) > 1.5 * length) + 1
    return holes
