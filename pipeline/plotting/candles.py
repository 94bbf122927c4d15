"""The chart of a market: candles with prices over them, volume, panels of other numbers, lanes of categories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from .canvas import from_zero, printable
from .numbers import dress_numbers, dress_times, price

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ...indicators.contract import Array, Floats
    from .arrange import Arrangement, Lane
    from .canvas import Palette
    from .history import Series, Track

_WIDTH = 11.0
#: Heights in inches; a lane takes a name and a strip below it.
_CANDLES, _VOLUME, _PANEL, _LANE = 4.2, 0.8, 1.3, 0.42
#: Intervals on the axis at least, so that a few bars do not become walls.
_LEAST = 20
#: Characters that a row of a legend, and a lane, have room for.
_LEGEND, _LETTERS = 120, 130


class Chart:
    """Draws one series; bars stand at their time, so that a missing bar is a hole."""

    def __init__(self, series: Series, arrangement: Arrangement, palette: Palette) -> None:
        self.series, self.arrangement, self.palette = series, arrangement, palette
        self.length = np.timedelta64(series.interval.length)
        self.x = series.times.astype("datetime64[us]")
        self.close = series.field("close")
        self.rising = self.close >= series.field("open")

    def figure(self) -> Figure:
        """The whole picture."""
        panels, lanes = self.arrangement.panels, self.arrangement.lanes
        heights = [_CANDLES, _VOLUME, *[_PANEL] * len(panels), *[_LANE * len(lanes)] * bool(lanes)]
        figure = Figure(figsize=(_WIDTH, sum(heights) + 0.6), layout="constrained")
        rows = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights).tolist()
        self._candles(rows[0])
        self._volume(rows[1])
        for axes, ((_, unit), tracks) in zip(rows[2:], panels.items(), strict=False):
            self._panel(axes, unit, tracks)
        if lanes:
            self._lanes(rows[-1], lanes)
        self._times(rows[-1])
        figure.suptitle(self._title(), x=0.01, ha="left", fontsize=11)
        return figure

    def _title(self) -> str:
        newest = str(self.x[-1].astype("datetime64[m]")).replace("T", " ")
        name = printable(self.series.symbol)
        return f"{name}  {self.series.interval.name}   close {price(self.close[-1])}   bar of {newest} UTC"

    def _colours(self) -> list[str]:
        return [self.palette.up if up else self.palette.down for up in self.rising]

    def _candles(self, axes: Axes) -> None:
        opens, colours = self.series.field("open"), self._colours()
        axes.vlines(self.x, self.series.field("low"), self.series.field("high"), colors=colours, linewidth=0.8)
        # The edge keeps a bar that closes where it opened visible, as a line.
        bottom, height = np.minimum(opens, self.close), np.abs(self.close - opens)
        axes.bar(self.x, height, self._width(), bottom, color=colours, edgecolor=colours, linewidth=0.8)
        for track in self.arrangement.overlays:
            self._line(axes, track)
        # Bars would pull the axis down to 0.
        axes.set_ylim(*self._price_range())
        dress_numbers(axes, 8)
        self._legend(axes, self.arrangement.overlays)

    def _price_range(self) -> tuple[float, float]:
        """Limits that show every candle, and of what lies over them what leaves the candles half of the height."""
        low, high = self.series.field("low").min(), self.series.field("high").max()
        room = 0.5 * (high - low) or 0.01 * abs(high) or 1.0
        values = [low, high, *(value for track in self.arrangement.overlays for value in track.values)]
        shown = np.clip(np.array(values)[np.isfinite(values)], low - room, high + room)
        margin = 0.04 * (shown.max() - shown.min()) or room
        return shown.min() - margin, shown.max() + margin

    def _volume(self, axes: Axes) -> None:
        axes.bar(self.x, self.series.field("volume"), self._width(), color=self._colours(), alpha=0.6)
        axes.set_ylim(*from_zero(self.series.field("volume").tolist()))
        self._unit(axes, "volume")
        dress_numbers(axes, 3)

    def _panel(self, axes: Axes, unit: str, tracks: Sequence[Track]) -> None:
        for track in tracks:
            if track.column.role == "histogram":
                colours = [self.palette.up if value >= 0 else self.palette.down for value in track.values]
                axes.bar(self.x, track.values, self._width(), color=colours, alpha=0.6, label=track.name)
            else:
                self._line(axes, track)
        values = np.concatenate([track.values for track in tracks])
        if np.nanmin(values) < 0 < np.nanmax(values):
            axes.axhline(0, color=self.palette.muted, linewidth=0.6)
        self._unit(axes, unit)
        dress_numbers(axes, 4)
        self._legend(axes, tracks)

    def _lanes(self, axes: Axes, lanes: Sequence[Lane]) -> None:
        """A strip for each category, from top to bottom, its name above it, its text or the text's number inside."""
        axes.set_ylim(-len(lanes), 0)
        axes.set_yticks([])
        axes.grid(visible=False, axis="y")
        colours = self.palette.lines
        for row, lane in enumerate(lanes):
            name = (0.005, -row - 0.06)
            axes.annotate(lane.track.name, name, xycoords=axes.get_yaxis_transform(), va="top", fontsize=8)
            for number, begin, end in lane.runs():
                left, right = self.x[begin] - self.length / 2, self.x[end - 1] + self.length / 2
                colour = colours[(number - 1) % len(colours)]
                axes.barh(-row - 0.7, right - left, 0.4, left, color=colour, alpha=0.5)
                label = lane.label(number)
                if end - begin >= len(label) * len(self.x) / _LETTERS:
                    axes.annotate(f" {label}", (left, -row - 0.7), va="center", fontsize=7)

    def _line(self, axes: Axes, track: Track) -> None:
        """A line over the bars; a value without a neighbour, which no line reaches, is a point."""
        x, values = self._broken(track.values)
        there = np.isfinite(values)
        beside = np.append(False, there[:-1]) | np.append(there[1:], False)
        axes.plot(x, values, label=track.name, marker=".", markevery=np.flatnonzero(there & ~beside))

    def _broken(self, values: Floats) -> tuple[Array, Floats]:
        """A line over the bars, interrupted where bars are missing."""
        holes = np.flatnonzero(np.diff(self.x) > 1.5 * self.length) + 1
        return np.insert(self.x, holes, self.x[holes - 1] + self.length), np.insert(values, holes, np.nan)

    def _width(self) -> np.timedelta64:
        return self.length * 7 // 10

    def _unit(self, axes: Axes, unit: str) -> None:
        axes.set_title(unit, loc="right", fontsize=8, color=self.palette.muted, pad=3)

    def _legend(self, axes: Axes, tracks: Sequence[Track]) -> None:
        """The names of the lines above their axes, in as many rows as they need."""
        if tracks:
            columns = max(1, _LEGEND // (max(len(track.name) for track in tracks) + 6))
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0, borderpad=0.2)

    def _times(self, axes: Axes) -> None:
        newest = self.x[-1] + self.length
        oldest = min(self.x[0] - self.length, newest - _LEAST * self.length)
        axes.set_xlim(oldest, newest)
        dress_times(axes)
