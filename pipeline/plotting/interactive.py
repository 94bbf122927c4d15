"""The chart of a market as a page draws it: plain values for plotly.js, and the script that draws them.

``figure`` is a pure function, and what it returns can be written as JSON. It is smaller than a figure of plotly, and
has no colours: ``chart.js`` gives the traces their times, and the colours of the theme that the reader has
(``COLOURS``). In a page that has ``script()``, ``candlemill.draw(element, figure, theme)`` draws one, and draws it anew
with another theme; ``theme`` is ``"light"`` or ``"dark"``.

A figure has

- ``times``: starts of the bars, milliseconds since the epoch on the reader's clock; ``step``: the length of a bar;
- ``data``: traces of plotly, where a text that begins with ``$`` is the name of a colour. ``x`` is missing: it is
  ``times``, moved by ``shift`` bars, or for one that has ``at`` the times at these places.
  ``which`` of a marker has the place of each bar's colour among its ``colours``, -1 where there is no bar, and in a
  strip that of its word among ``words``; ``key`` has the name and the newest value that stand in the key;
- ``room``: share of their height that candles have free above and below them; ``levels``: prices that are shown beside
  what the traces have; ``ahead``: bars by which the last line is drawn ahead;
- ``layout``: of plotly; ``head``: what stands above the picture; ``notes``: what stands below it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.errors import UsageError
from ..base.shown import visible
from .arrange import WIDEST, broken
from .headline import IN_UTC, headline
from .numbers import short
from .palette import PALETTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...indicators.contract import Array, Floats
    from .arrange import Area, Arrangement, Curve, Mark, Pane, Profile, Strip, Word
    from .headline import Zone
    from .history import Series

#: Heights in pixels; a strip takes its key and the strip below it.
_CANDLES, _VOLUME, _PANEL, _STRIP, _GAP = 430, 70, 120, 34, 24
#: Margins in pixels: above, right, below, left.
_TOP, _RIGHT, _BOTTOM, _LEFT = 40, 74, 34, 8
_MARKS = {"long": ("triangle-up", "$long"), "short": ("triangle-down", "$short"), "neutral": ("diamond", "$muted")}

#: By theme the colours that figures name.
COLOURS: dict[str, dict[str, str]] = {name: palette.named() for name, palette in PALETTES.items()}


@cache
def script() -> str:
    """What a page needs to draw figures: plotly.js, and ``candlemill`` with its function ``draw``.

    Raises UsageError where plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ModuleNotFoundError as error:
        raise UsageError("a page needs plotly, the extra candlemill[plot]: pip install plotly") from error
    drawing = files(__package__).joinpath("chart.js").read_text(encoding="utf-8")
    return f"{get_plotlyjs()}\n{drawing.replace('{/*colours*/}', json.dumps(COLOURS))}"


def listed(values: Floats, digits: int) -> list[float | None]:
    """Numbers as JSON has them, with so many significant digits; NaN is null."""
    return [None if value != value else float(f"{value:.{digits}g}") for value in values.tolist()]


def figure(
    series: Series,
    arrangement: Arrangement,
    zone: Zone = IN_UTC,
    numbers: Callable[[Floats, int], Any] = listed,
) -> dict[str, Any]:
    """What ``candlemill.draw`` draws; see the module. ``numbers`` writes the values of a trace, as ``listed`` does."""
    return _Figure(series, arrangement, zone, numbers).made()


class _Figure:
    """Collects traces and the layout; every pane has an axis of values, all share the axis of time."""

    def __init__(
        self, series: Series, arrangement: Arrangement, zone: Zone, numbers: Callable[[Floats, int], Any]
    ) -> None:
        self.series, self.arrangement, self.zone, self.numbers = series, arrangement, zone, numbers
        times = zone.times(series.times)
        self.step = np.timedelta64(series.interval.length)
        #: Where bars are missing there is a time without values, so that no line runs over the hole.
        self.holes = broken(times, self.step)
        self.places = np.arange(len(times)) + np.searchsorted(self.holes, np.arange(len(times)), side="right")
        self.times = np.insert(times, self.holes, times[self.holes - 1] + self.step)
        self.data: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {}
        self.shapes: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.panes = 0
        #: Indicators whose name stands in a key already, by axis.
        self.owners: set[tuple[str, str]] = set()

    def made(self) -> dict[str, Any]:
        above = self.arrangement
        heights = [_CANDLES, _VOLUME, *[_PANEL] * len(above.panels), *[_STRIP * len(above.strips)] * bool(above.strips)]
        total = sum(heights) + _GAP * (len(heights) - 1)
        domains, top = [], float(total)
        for height in heights:
            domains.append([max(0.0, round((top - height) / total, 5)), round(top / total, 5)])
            top -= height + _GAP
        self._candles(domains[0])
        self._volume(domains[1])
        for pane, domain in zip(above.panels, domains[2:], strict=False):
            self._pane(pane, domain)
        if above.strips:
            self._strips(above.strips, domains[-1])
        head = headline(self.series, self.zone)
        ahead = max((curve.shift for curve in above.over.curves), default=0)
        return {
            "head": {
                "name": head.name, "close": head.close, "change": head.change, "rising": head.rising,
                "bar": head.bar, "time": head.time,
            },
            "times": (self.times.astype(np.int64) // 1000).tolist(),
            "room": 0.36 if any(mark.label for mark in above.marks) else 0.06,
            "levels": [price for profile in above.profiles for _, price in profile.levels],
            "step": int(self.step.astype("timedelta64[ms]").astype(np.int64)),
            "ahead": ahead,
            "data": self.data,
            "layout": {
                **self.layout,
                "height": total + _TOP + _BOTTOM,
                "margin": {"t": _TOP, "r": _RIGHT, "b": _BOTTOM, "l": _LEFT},
                "xaxis": self._time_axis(), "shapes": self.shapes, "annotations": self.annotations,
                "barmode": "overlay", "bargap": 0.25, "dragmode": "pan", "hovermode": "x unified",
                "hoversubplots": "axis", "spikedistance": -1, "hoverdistance": 1,
                "paper_bgcolor": "$background", "plot_bgcolor": "$background",
                "font": {"color": "$text", "size": 11}, "separators": ".,",
                "hoverlabel": {"bgcolor": "$background", "bordercolor": "$grid", "font": {"color": "$text", "size": 11},
                               "namelength": -1},
            },
            "notes": [visible(note) for note in above.notes],
        }  # fmt: skip

    def _time_axis(self) -> dict[str, Any]:
        return {
            "type": "date", "anchor": f"y{self.panes}", "rangeslider": {"visible": False}, "gridcolor": "$grid",
            "linecolor": "$grid", "tickfont": {"color": "$muted"}, "zeroline": False, "title": {
                "text": self.zone.name, "font": {"size": 10, "color": "$muted"}, "standoff": 2},
            "showspikes": True, "spikemode": "across", "spikesnap": "hovered data", "spikethickness": 1,
            "spikecolor": "$muted", "spikedash": "dot", "hoverformat": "%Y-%m-%d %H:%M",
        }  # fmt: skip

    def _axis(self, domain: Sequence[float], **other: Any) -> str:
        """One more axis of values; its name as traces have it."""
        self.panes += 1
        number = "" if self.panes == 1 else str(self.panes)
        self.layout[f"yaxis{number}"] = {
            "domain": domain, "anchor": "x", "side": "right", "gridcolor": "$grid", "zeroline": False,
            "tickfont": {"color": "$muted"}, "showspikes": True, "spikemode": "across", "spikesnap": "cursor",
            "spikethickness": 1, "spikecolor": "$muted", "spikedash": "dot", "separatethousands": True,
            "exponentformat": "B", "nticks": 8 if self.panes == 1 else 4, **other,
        }  # fmt: skip
        self.layout[f"legend{number}"] = {
            "x": 0, "xanchor": "left", "y": domain[1], "yanchor": "bottom", "orientation": "h", "bgcolor": "$veil",
            "font": {"size": 10.5}, "itemwidth": 30, "tracegroupgap": 0, "groupclick": "togglegroup",
        }  # fmt: skip
        return f"y{number}"

    def _legend(self, axis: str) -> str:
        return f"legend{axis[1:]}"

    def _spread(self, values: Array, digits: int = 7) -> Any:
        """Values at the times, nothing where bars are missing or there is no value."""
        return self.numbers(np.insert(values.astype(np.float64), self.holes, np.nan), digits)

    # -- candles and volume

    def _candles(self, domain: Sequence[float]) -> None:
        above = self.arrangement
        bars = {name: self._spread(self.series.field(name), 12) for name in ("open", "high", "low", "close")}
        close = float(self.series.field("close")[-1])
        head = headline(self.series, self.zone)
        decimals = len(head.close.partition(".")[2])
        axis = self._axis(domain, exponentformat="none", hoverformat=f",.{decimals}f")
        for profile in above.profiles:
            self._profile(profile, axis)
        for area in above.over.areas:
            self._area(area, axis)
        self.data.append({
            "type": "candlestick", "name": visible(self.series.symbol), "yaxis": axis, "showlegend": False, **bars,
            "increasing": {"line": {"color": "$long", "width": 1}, "fillcolor": "$long"},
            "decreasing": {"line": {"color": "$short", "width": 1}, "fillcolor": "$short"},
        })  # fmt: skip
        for curve in above.over.curves:
            self._curve(curve, axis)
        for tone in _MARKS:
            self._marks([mark for mark in above.marks if mark.tone == tone], axis)
        colour = "$long" if head.rising else "$short"
        self._line(axis, close, colour, "dot")
        self.annotations.append({
            "xref": "paper", "x": 1, "xanchor": "left", "yref": axis, "y": close, "yanchor": "middle",
            "text": head.close, "showarrow": False, "bgcolor": colour, "borderpad": 2,
            "font": {"color": "$background", "size": 11},
        })  # fmt: skip

    def _volume(self, domain: Sequence[float]) -> None:
        axis = self._axis(domain, rangemode="tozero")
        volume, opened, close = (self.series.field(name) for name in ("volume", "open", "close"))
        self.data.append({
            "type": "bar", "name": "volume", "yaxis": axis, "y": self._spread(volume), "opacity": 0.6,
            "legend": self._legend(axis), "showlegend": True, "marker": self._signs(np.where(close >= opened, 1, -1)),
        })  # fmt: skip

    def _signs(self, values: Array) -> dict[str, Any]:
        """Bars in the colours of long and short."""
        signs = np.insert(np.where(values >= 0, 1, 0), self.holes, 0)
        return {"which": signs.tolist(), "colours": ["$short", "$long"], "line": {"width": 0}}

    # -- curves

    def _pane(self, pane: Pane, domain: Sequence[float]) -> None:
        axis = self._axis(domain)
        for area in pane.areas:
            self._area(area, axis)
        for curve in pane.curves:
            self._curve(curve, axis)
        for guide in pane.guides:
            self._line(axis, guide, "$muted", "dot")
        if any(curve.form == "bars" for curve in pane.curves):
            self._line(axis, 0, "$muted", "solid")

    def _curve(self, curve: Curve, axis: str) -> None:
        trace: dict[str, Any] = {
            "name": curve.name, "yaxis": axis, "legend": self._legend(axis), "legendgroup": curve.group,
            "showlegend": curve.listed, "y": self._spread(curve.values),
        }  # fmt: skip
        if curve.listed:
            # The first of an indicator says whose the next ones are, too.
            first = (axis, curve.owner) not in self.owners
            self.owners.add((axis, curve.owner))
            trace["key"] = [curve.name if first else curve.column, short(curve.newest)]
        if curve.form == "bars":
            trace |= {"type": "bar", "opacity": 0.7, "marker": self._signs(curve.values)}
        else:
            line = {"color": f"$line{curve.hue}" if curve.tone == "neutral" else f"${curve.tone}", "width": 1.5}
            if curve.form == "step":
                line |= {"shape": "hv", "width": 1}
            trace |= {"type": "scatter", "mode": "lines", "line": line}
            if self._has_lonely(curve.values):
                trace |= {"mode": "lines+markers", "marker": {"size": 3}}
        if curve.shift:
            trace["shift"] = curve.shift
        self.data.append(trace)

    @staticmethod
    def _has_lonely(values: Array) -> bool:
        """Whether a value has no neighbour, so that no line reaches it."""
        there = np.isfinite(values)
        return bool((there & ~np.append(False, there[:-1]) & ~np.append(there[1:], False)).any())

    def _area(self, area: Area, axis: str) -> None:
        """Fills between curves, as invisible lines that are filled to the one before."""
        first, second = area.first.values, area.second.values
        known = np.isfinite(first) & np.isfinite(second)
        edges = [(f"$band{area.first.hue}", second, first)]
        if area.cloud:
            higher, lower = np.fmax(first, second), np.fmin(first, second)
            edges = [("$long_area", second, higher), ("$short_area", second, lower)]
        for colour, base, edge in edges:
            for values, fill in ((base, "none"), (edge, "tonexty")):
                self.data.append({
                    "type": "scatter", "mode": "lines", "yaxis": axis, "showlegend": False, "hoverinfo": "skip",
                    "legendgroup": area.first.group, "legend": self._legend(axis), "fill": fill,
                    "line": {"width": 0, "shape": "hv" if area.first.form == "step" else "linear"},
                    "fillcolor": colour, "y": self._spread(np.where(known, values, np.nan)), "shift": area.first.shift,
                })  # fmt: skip

    def _line(self, axis: str, value: float, colour: str, dash: str) -> None:
        self.shapes.append({
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": axis, "y0": value, "y1": value, "layer": "below",
            "line": {"color": colour, "width": 1, "dash": dash},
        })  # fmt: skip

    # -- names, profiles, categories

    def _marks(self, marks: Sequence[Mark], axis: str) -> None:
        if not marks:
            return
        symbol, colour = _MARKS[marks[0].tone]
        low, high = self.series.field("low"), self.series.field("high")
        away = 0.015 * float(high.max() - low.min())
        under = marks[0].tone == "long"
        at = [mark.bar for mark in marks]
        heights = low[at] - away if under else high[at] + away
        self.data.append({
            "type": "scatter", "mode": "markers", "name": f"patterns, {marks[0].tone}", "yaxis": axis,
            "legend": self._legend(axis), "at": self.places[at].tolist(),
            "y": [float(f"{height:.7g}") for height in heights.tolist()],
            "marker": {"symbol": symbol, "color": colour, "size": 7},
            "text": [", ".join(mark.names) for mark in marks], "hovertemplate": "%{text}<extra></extra>",
        })  # fmt: skip
        for mark, height in zip(marks, heights.tolist(), strict=True):
            if mark.label:
                self.annotations.append({
                    "at": int(self.places[mark.bar]), "yref": axis, "y": height, "text": visible(mark.label),
                    "textangle": -90, "showarrow": False, "yanchor": "top" if under else "bottom",
                    "yshift": -5 if under else 5, "font": {"size": 9, "color": colour},
                })  # fmt: skip

    def _profile(self, profile: Profile, axis: str) -> None:
        """Amounts as bars from the axis of prices, over an axis of their own."""
        self.layout["xaxis2"] = {
            "overlaying": "x", "anchor": axis, "visible": False, "fixedrange": True,
            "range": [float(profile.amounts.max()) / WIDEST or 1, 0],
        }  # fmt: skip
        middles = (profile.edges[1:] + profile.edges[:-1]) / 2
        inside = (middles >= profile.low) & (middles <= profile.high)
        self.data.append({
            "type": "bar", "orientation": "h", "xaxis": "x2", "yaxis": axis, "name": f"{profile.name} volume by price",
            "legend": self._legend(axis), "hoverinfo": "skip", "width": float(profile.edges[1] - profile.edges[0]),
            "x": [float(f"{amount:.7g}") for amount in profile.amounts.tolist()], "y": middles.tolist(),
            "opacity": 0.45,
            "marker": {"which": inside.astype(int).tolist(), "colours": ["$muted", "$line0"], "line": {"width": 0}},
        })  # fmt: skip
        for name, value in profile.levels:
            self._line(axis, value, "$line1" if name == "point of control" else "$line0", "dash")
            self.annotations.append({
                "xref": "paper", "x": 0, "xanchor": "left", "yref": axis, "y": value, "yanchor": "bottom",
                "text": f"{name} {short(value)}", "showarrow": False, "bgcolor": "$veil", "font": {"size": 10},
            })  # fmt: skip

    def _strips(self, strips: Sequence[Strip], domain: Sequence[float]) -> None:
        """A row for each category: above it its name and its words with their colours."""
        axis = self._axis(domain, range=[-len(strips), 0], fixedrange=True, visible=False, showspikes=False)
        for row, strip in enumerate(strips):
            colours = [self._colour(word) for word in strip.words]
            texts = [visible(word.text) for word in strip.words]
            told = np.array([word.tone != "nothing" for word in strip.words], dtype=np.bool_)
            codes = np.where((strip.codes >= 0) & told[strip.codes], strip.codes, -1)
            self.annotations.append({
                "xref": "paper", "x": 0, "xanchor": "left", "yref": axis, "y": -row, "yanchor": "top",
                "showarrow": False, "font": {"size": 10}, "text": visible(strip.name), "borderpad": 0,
                "words": [pair for pair, there in zip(zip(texts, colours, strict=True), told, strict=True) if there],
            })  # fmt: skip
            self.data.append({
                "type": "bar", "name": visible(strip.name), "yaxis": axis, "showlegend": False, "base": -row - 0.95,
                "height": 0.42, "words": texts, "hovertemplate": f"{visible(strip.name)}: %{{text}}<extra></extra>",
                "textposition": "none", "marker": {
                    "which": np.insert(codes, self.holes, -1).tolist(), "colours": colours, "line": {"width": 0},
                },
            })  # fmt: skip

    @staticmethod
    def _colour(word: Word) -> str:
        return "$neutral0" if word.tone == "nothing" else f"${word.tone}{min(word.rank, 3)}"
