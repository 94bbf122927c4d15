"""The chart of a market for PNG and SVG: what can be read alone, as nobody can ask a picture.

Every strip has its key, every line its newest value; the title has the newest bar, the right axis the last price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea, HPacker, TextArea
from matplotlib.patches import Rectangle

from .arrange import WIDEST, broken
from .canvas import from_zero
from .headline import IN_UTC, headline
from .numbers import dress_numbers, dress_times, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ...indicators.contract import Array, Floats
    from ...indicators.roles import Tone
    from .arrange import Area, Arrangement, Curve, Mark, Pane, Profile, Strip
    from .headline import Zone
    from .history import Series
    from .palette import Palette

_WIDTH = 11.0
#: Heights in inches; a strip takes its key and the strip below it.
_CANDLES, _VOLUME, _PANEL, _STRIP = 4.4, 0.8, 1.3, 0.42
#: Intervals on the axis at least, so that a few bars do not become walls.
_LEAST = 20
#: Characters that a row of a legend, and a strip, have room for.
_LEGEND, _LETTERS = 130, 130
#: Signs that leave the candles to be seen; beyond them only those with names are drawn.
_MOST_MARKED = 150
_MARKS: dict[Tone, str] = {"long": "^", "short": "v", "neutral": "d"}


class Chart:
    """Draws one series; bars stand at their time, so that a missing bar is a hole."""

    def __init__(self, series: Series, arrangement: Arrangement, palette: Palette, zone: Zone = IN_UTC) -> None:
        self.series, self.arrangement, self.palette, self.zone = series, arrangement, palette, zone
        self.length = np.timedelta64(series.interval.length)
        self.x = zone.times(series.times)
        self.close = series.field("close")
        self.rising = self.close >= series.field("open")
        self.head = headline(series, zone)

    def figure(self) -> Figure:
        """The whole picture."""
        panels, strips = self.arrangement.panels, self.arrangement.strips
        heights = [_CANDLES, _VOLUME, *[_PANEL] * len(panels), *[_STRIP * len(strips)] * bool(strips)]
        figure = Figure(figsize=(_WIDTH, sum(heights) + 0.8), layout="constrained")
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights).tolist()
        for axes in rows:
            axes.yaxis.tick_right()
        self._candles(rows[0])
        self._volume(rows[1])
        for axes, pane in zip(rows[2:], panels, strict=False):
            self._panel(axes, pane)
        if strips:
            self._strips(rows[-1], strips)
        self._times(rows[-1])
        head = self.head
        title = f"{head.name}   {head.close}   {head.change}\n{head.bar}   {head.time}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        if self.arrangement.notes:
            notes = "\n".join(self.arrangement.notes)
            figure.supxlabel(notes, x=0.01, ha="left", fontsize=7.5, color=self.palette.muted)
        return figure

    def _colours(self, rising: Array) -> list[str]:
        return [self.palette.long if up else self.palette.short for up in rising]

    # -- candles and volume

    def _candles(self, axes: Axes) -> None:
        above, opens, colours = self.arrangement, self.series.field("open"), self._colours(self.rising)
        for profile in above.profiles:
            self._profile(axes, profile)
        axes.vlines(self.x, self.series.field("low"), self.series.field("high"), colors=colours, linewidth=0.8)
        # The edge keeps a bar that closes where it opened visible, as a line.
        bottom, height = np.minimum(opens, self.close), np.abs(self.close - opens)
        axes.bar(self.x, height, self._width(), bottom, color=colours, edgecolor=colours, linewidth=0.8)
        self._pane(axes, above.over)
        for tone in _MARKS:
            marks = [mark for mark in above.marks if mark.tone == tone]
            if len(above.marks) > _MOST_MARKED:
                marks = [mark for mark in marks if mark.label]
            if marks:
                self._marks(axes, tone, marks)
        # Bars would pull the axis down to 0.
        axes.set_ylim(*self._price_range())
        dress_numbers(axes, 8)
        self._tag(axes)

    def _tag(self, axes: Axes) -> None:
        """The last price at the right axis, and a line from there."""
        colour = self.palette.long if self.head.rising else self.palette.short
        axes.axhline(self.close[-1], color=colour, linewidth=0.7, linestyle=":", zorder=1)
        axes.annotate(
            self.head.close, (1, self.close[-1]), xycoords=axes.get_yaxis_transform(), xytext=(5, 0),
            textcoords="offset points", va="center", color=self.palette.background, annotation_clip=False,
            bbox={"boxstyle": "square,pad=0.25", "facecolor": colour, "edgecolor": "none"},
        )  # fmt: skip

    def _price_range(self) -> tuple[float, float]:
        """Limits that show every candle, and of what lies over them what leaves the candles half of the height."""
        low, high = self.series.field("low").min(), self.series.field("high").max()
        room = 0.5 * (high - low) or 0.01 * abs(high) or 1.0
        over = [curve.values for curve in self.arrangement.over.curves]
        levels = [[price for _, price in profile.levels] for profile in self.arrangement.profiles]
        values = np.concatenate([[low, high], *over, *levels])
        shown = np.clip(values[np.isfinite(values)], low - room, high + room)
        named = any(mark.label for mark in self.arrangement.marks)
        margin = (0.36 if named else 0.04) * (shown.max() - shown.min()) or room
        return shown.min() - margin, shown.max() + margin

    def _volume(self, axes: Axes) -> None:
        axes.bar(self.x, self.series.field("volume"), self._width(), color=self._colours(self.rising), alpha=0.6)
        axes.set_ylim(*from_zero(self.series.field("volume").tolist()))
        self._unit(axes, "volume")
        dress_numbers(axes, 3)

    # -- curves

    def _panel(self, axes: Axes, pane: Pane) -> None:
        self._pane(axes, pane)
        for guide in pane.guides:
            axes.axhline(guide, color=self.palette.muted, linewidth=0.6, linestyle=":")
        if any(curve.form == "bars" for curve in pane.curves):
            axes.axhline(0, color=self.palette.muted, linewidth=0.6)
        self._unit(axes, pane.unit)
        dress_numbers(axes, 4)

    def _pane(self, axes: Axes, pane: Pane) -> None:
        for area in pane.areas:
            self._area(axes, area)
        for curve in pane.curves:
            if curve.form == "bars":
                values, colours = curve.values, self._colours(curve.values >= 0)
                axes.bar(self._moved(curve), values, self._width(), color=colours, alpha=0.6, label=curve.name)
            else:
                self._line(axes, curve)
        self._legend(axes, [curve for curve in pane.curves if curve.listed])

    def _line(self, axes: Axes, curve: Curve) -> None:
        """A line over the bars; a value without a neighbour, which no line reaches, is a point."""
        x, values = self._broken(self._moved(curve), curve.values)
        there = np.isfinite(values)
        lonely = np.flatnonzero(there & ~np.append(False, there[:-1]) & ~np.append(there[1:], False))
        marked: dict[str, Any] = {"marker": ".", "markevery": lonely} if len(lonely) else {}
        colour = self.palette.line(curve.hue) if curve.tone == "neutral" else getattr(self.palette, curve.tone)
        style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 0.9} if curve.form == "step" else {}
        label = curve.name if curve.listed else None
        axes.plot(x, values, color=colour, label=label, **marked, **style)

    def _area(self, axes: Axes, area: Area) -> None:
        x, first = self._broken(self._moved(area.first), area.first.values)
        _, second = self._broken(self._moved(area.second), area.second.values)
        if not area.cloud:
            step: dict[str, Any] = {"step": "post"} if area.first.form == "step" else {}
            axes.fill_between(
                x, first, second, color=self.palette.line(area.first.hue), alpha=0.08, linewidth=0, **step
            )
            return
        for above, colour in ((first >= second, self.palette.long), (first < second, self.palette.short)):
            axes.fill_between(x, first, second, where=above, color=colour, alpha=0.16, linewidth=0, interpolate=True)

    def _moved(self, curve: Curve) -> Array:
        return self.x + curve.shift * self.length

    def _broken(self, x: Array, values: Floats) -> tuple[Array, Floats]:
        """A line over the bars, interrupted where bars are missing."""
        holes = broken(x, self.length)
        return np.insert(x, holes, x[holes - 1] + self.length), np.insert(values, holes, np.nan)

    # -- names, profiles, categories

    def _marks(self, axes: Axes, tone: Tone, marks: Sequence[Mark]) -> None:
        """Signs of one tone beside their candles, with the names that there is room for."""
        under = tone == "long"
        colour = self.palette.muted if tone == "neutral" else getattr(self.palette, tone)
        low, high = self.series.field("low"), self.series.field("high")
        away = 0.015 * (high.max() - low.min())
        heights = low - away if under else high + away
        at = [mark.bar for mark in marks]
        axes.scatter(self.x[at], heights[at], 12, color=colour, marker=_MARKS[tone], zorder=3)
        for mark in marks:
            axes.annotate(
                mark.label, (self.x[mark.bar], heights[mark.bar]), xytext=(0, -5 if under else 5),
                textcoords="offset points", rotation=90, fontsize=6.5, color=colour, ha="center",
                va="top" if under else "bottom",
            )  # fmt: skip

    def _profile(self, axes: Axes, profile: Profile) -> None:
        """Amounts as bars from the axis of prices, behind the candles."""
        widths = WIDEST * profile.amounts / (profile.amounts.max() or 1)
        middles = (profile.edges[1:] + profile.edges[:-1]) / 2
        inside = (middles >= profile.low) & (middles <= profile.high)
        colours = [self.palette.lines[0] if one else self.palette.muted for one in inside]
        height = profile.edges[1] - profile.edges[0]
        across = axes.get_yaxis_transform()
        axes.barh(middles, -widths, 0.9 * height, 1, color=colours, alpha=0.4, zorder=0, transform=across)
        for name, price in profile.levels:
            colour = self.palette.lines[1] if name == "point of control" else self.palette.lines[0]
            axes.axhline(price, color=colour, linewidth=0.9, linestyle="--")
            text = f"{name} {short(price)}"
            axes.annotate(
                text, (0.004, price), xycoords=across, va="bottom", fontsize=7.5, color=colour, annotation_clip=True
            )

    def _strips(self, axes: Axes, strips: Sequence[Strip]) -> None:
        """A strip for each category, from top to bottom: above it its name and its words with their colours."""
        axes.set_ylim(-len(strips), 0)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        for row, strip in enumerate(strips):
            axes.add_artist(self._key(axes, strip, row))
            for word, begin, end in strip.runs():
                if word.tone == "nothing":
                    continue
                left, right = self.x[begin] - self.length / 2, self.x[end - 1] + self.length / 2
                axes.barh(-row - 0.74, right - left, 0.4, left, color=self.palette.word(word.tone, word.rank))
                if end - begin >= (len(word.text) + 2) * len(self.x) / _LETTERS:
                    axes.annotate(f" {word.text}", (left, -row - 0.74), va="center", fontsize=7)

    def _key(self, axes: Axes, strip: Strip, row: int) -> AnchoredOffsetbox:
        parts: list[Any] = [TextArea(strip.name, textprops={"size": 8})]
        for word in strip.words:
            if word.tone != "nothing":
                square = DrawingArea(8, 8)
                square.add_artist(Rectangle((0, 0), 7, 7, color=self.palette.word(word.tone, word.rank)))
                text = TextArea(word.text, textprops={"size": 7.5, "color": self.palette.muted})
                parts.append(HPacker(children=[square, text], pad=0, sep=3, align="center"))
        now = TextArea(f"now: {strip.newest}", textprops={"size": 7.5})
        box = HPacker(children=[*parts, now], pad=0, sep=8, align="center")
        return AnchoredOffsetbox(
            "upper left", child=box, pad=0.1, borderpad=0, frameon=False,
            bbox_to_anchor=(0, 1 - row / len(self.arrangement.strips)), bbox_transform=axes.transAxes,
        )  # fmt: skip

    # -- axes

    def _width(self) -> np.timedelta64:
        return self.length * 7 // 10

    def _unit(self, axes: Axes, unit: str) -> None:
        axes.set_title(unit, loc="right", fontsize=8, color=self.palette.muted, pad=3)

    def _legend(self, axes: Axes, curves: Sequence[Curve]) -> None:
        """The names of the lines above their axes, each after its indicator's, in as many rows as they need."""
        handles, labels = axes.get_legend_handles_labels()
        if not curves:
            return
        of_label = dict(zip(labels, handles, strict=True))
        entries: list[tuple[Artist, str]] = []
        for owner in dict.fromkeys(curve.owner for curve in curves):
            entries.append((Line2D([], [], linestyle="none"), owner))
            entries += [(of_label[curve.name], _label(curve)) for curve in curves if curve.owner == owner]
        lengths = [len(label) + 5 for _, label in entries]
        columns = len(entries) if sum(lengths) <= _LEGEND else max(1, _LEGEND // max(lengths))
        axes.legend(
            *zip(*entries, strict=True), loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0,
            borderpad=0.2, columnspacing=1.2, handlelength=1.4,
        )  # fmt: skip

    def _times(self, axes: Axes) -> None:
        ahead = max((curve.shift for curve in self.arrangement.over.curves), default=0)
        newest = self.x[-1] + (ahead + 1) * self.length
        oldest = min(self.x[0] - self.length, newest - _LEAST * self.length)
        axes.set_xlim(oldest, newest)
        dress_times(axes, self.zone.name)


def _label(curve: Curve) -> str:
    """Its column, and its newest value."""
    return f"{curve.column} {short(curve.newest)}"
