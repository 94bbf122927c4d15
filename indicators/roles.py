"""What pictures make of columns: a role is declared with each column, and whoever draws knows roles, no indicator.

Colours mean the same everywhere: a *tone* says whether a line or a word speaks for long, for short or for neither, or
says that there is nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Tone: TypeAlias = Literal["long", "short", "neutral", "nothing"]
#: Over the candles: ``level`` a line, ``step`` a level that holds until another takes its place, ``flips`` a line in
#: the colour of its side that breaks where the side changes, ``upper`` and ``lower`` the edges of a band, ``top`` and
#: ``bottom`` those of a zone that holds until another takes its place, ``cloud`` and ``cloud_base`` those of an area in
#: the colour of long where the first lies above the second. At the price axis:
#: ``control``, ``area_high`` and ``area_low``, the fullest price of a profile and the edges of its value area. In a
#: panel below: ``line`` and ``histogram``. Of texts: ``strip`` a word at every bar, ``marks`` names at the candles they
#: belong to. ``bar`` is a field of the bar, which the candles show.
Shape: TypeAlias = Literal[
    "level", "step", "flips", "upper", "lower", "top", "bottom", "cloud", "cloud_base",
    "control", "area_high", "area_low", "line", "histogram", "strip", "marks", "bar",
]  # fmt: skip


@dataclass(frozen=True)
class Role:
    """What a picture makes of a column.

    Attributes:
        shape: how it is drawn, and where.
        tone: what the colour of a line says; a neutral line has a colour of its own.
        side: of ``flips``, the text column of the indicator that says the side at each bar.
        field: of ``bar``, the field of the bar that the column repeats.
        guides: values at which its panel has a dotted line, such as 30 and 70.
        panel: the panel of its indicator that it stands in, where that is not the one of its unit.
        shift: bars by which the field draws it ahead, or back where it is negative.
        shown: whether a picture has it without being asked for it.
    """

    shape: Shape
    tone: Tone = "neutral"
    side: str = ""
    field: str = ""
    guides: tuple[float, ...] = ()
    panel: str = ""
    shift: int = 0
    shown: bool = True

    @property
    def long(self) -> Role:
        """The same in the colour of long."""
        return replace(self, tone="long")

    @property
    def short(self) -> Role:
        """The same in the colour of short."""
        return replace(self, tone="short")

    @property
    def on_request(self) -> Role:
        """The same, drawn only where the column is asked for."""
        return replace(self, shown=False)

    def ahead(self, bars: int) -> Role:
        """The same, which the field draws so many bars ahead."""
        return replace(self, shift=bars)

    def within(self, panel: str) -> Role:
        """The same, in a panel of that name."""
        return replace(self, panel=panel)


LEVEL, STEP = Role("level"), Role("step")
UPPER, LOWER = Role("upper"), Role("lower")
TOP, BOTTOM = Role("top"), Role("bottom")
CLOUD, CLOUD_BASE = Role("cloud"), Role("cloud_base")
CONTROL, AREA_HIGH, AREA_LOW = Role("control"), Role("area_high"), Role("area_low")
LINE, HISTOGRAM = Role("line"), Role("histogram")
STRIP, MARKS = Role("strip"), Role("marks")


def flips(side: str) -> Role:
    """A line over the candles in the colour of its side, which a text column of the indicator says."""
    return Role("flips", side=side)


def guided(*guides: float) -> Role:
    """A line in a panel with dotted lines at some values."""
    return Role("line", guides=guides)


def bar(field: str) -> Role:
    """A field of the bar."""
    return Role("bar", field=field)


#: English words that speak for long.
_LONG = frozenset({
    "long", "buy", "up", "green", "bullish", "bullish order", "leaning bullish", "golden cross",
    "golden cross with a cross above zero", "J below 0", "rebound from oversold", "oversold", "bullish divergence",
    "upper channel", "above the value area", "excellent", "good", "break upwards", "reversal upwards",
    "bullish order block", "gap up", "discount", "extreme discount",
    "three white soldiers", "morning star", "morning doji star", "hammer", "inverted hammer", "piercing",
    "dragonfly doji", "takuri", "three stars in the south", "homing pigeon", "ladder bottom", "matching low",
    "unique three river", "concealing baby swallow", "mat hold", "head and shoulders bottom", "double bottom",
    "ascending triangle",
})  # fmt: skip
#: English words that speak for short.
_SHORT = frozenset({
    "short", "sell", "down", "red", "bearish", "bearish order", "leaning bearish", "death cross",
    "death cross with a cross below zero", "J above 100", "pullback from overbought", "overbought",
    "bearish divergence", "lower channel", "below the value area", "tight", "dangerous", "break downwards",
    "reversal downwards", "bearish order block", "gap down", "premium", "extreme premium",
    "two crows", "three black crows", "advance block", "dark cloud cover", "evening star", "evening doji star",
    "hanging man", "shooting star", "gravestone doji", "identical three crows", "upside gap two crows",
    "stalled pattern", "in neck", "on neck", "thrusting", "head and shoulders top", "double top",
    "descending triangle",
})  # fmt: skip
#: English words for that there is nothing.
_NOTHING = frozenset({"none", "no pattern", "no divergence", "too few bars", "too few RSIs", "no RSI"})
_TONES: dict[str, Tone] = {
    **dict.fromkeys(_LONG, "long"),
    **dict.fromkeys(_SHORT, "short"),
    **dict.fromkeys(_NOTHING, "nothing"),
}


def tone(english: str) -> Tone:
    """What a word, in English, speaks for; one that is not known speaks for neither."""
    return _TONES.get(english, "neutral")
