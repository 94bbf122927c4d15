"""How firm the newest values of indicators are, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .palette import Palette

#: Percent: less is drawn at the edge, as no number that anybody reads differs by that.
_LEAST, _MOST = 1e-3, 1e3


def firmness(
    changes: Mapping[str, Mapping[str, tuple[float | None, float | None]]], title: str, palette: Palette
) -> Figure:
    """A line for each indicator: how far its numbers lie apart, and how often its words change.

    Args:
        changes: of numbers and of words, by indicator and form of the window, as ``analysis.stability`` finds them.
        title: of the picture.
        palette: its colours.
    """
    names = list(changes)[::-1]
    forms = list(dict.fromkeys(form for of_it in changes.values() for form in of_it))
    figure = Figure(figsize=(10, 1.6 + 0.24 * len(names)), layout="constrained")
    numbers, words = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for place, form in enumerate(forms):
        bars = form.endswith("bars")
        style = {
            "color": palette.lines[place % len(palette.lines)],
            "marker": "o" if bars else "D",
            "linestyle": "",
            "markersize": 4,
            "label": form,
        }
        found = [changes[name].get(form) for name in names]
        for axes, values, least, most in (
            (numbers, [change and change[0] for change in found], _LEAST, _MOST),
            (words, [change and change[1] for change in found], 0, 100),
        ):
            places = np.array([np.nan if value is None else value for value in values])
            axes.plot(np.clip(places, least, most), range(len(names)), **style)
    numbers.set_xscale("log")
    numbers.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    numbers.minorticks_off()
    numbers.set_xlim(_LEAST / 1.5, _MOST * 1.5)
    numbers.set_yticks(range(len(names)), names)
    numbers.set_ylim(-0.7, len(names) - 0.3)
    numbers.set_title("Numbers: distance at 19 of 20 bars, % of their typical size")
    words.set_xlim(-2, max(5.0, words.get_xlim()[1]))
    words.set_title("Words: another one is said, % of bars")
    figure.legend(*numbers.get_legend_handles_labels(), loc="outside lower center", ncols=max(1, len(forms)))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure
