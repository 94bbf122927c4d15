"""The growth as a picture: seconds and memory over symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PANES = (("total", "seconds", "tab:blue"), ("max_rss_mb", "peak memory, MiB", "tab:orange"))


def plot_scaling(scaling: Mapping[str, Any], target: Path) -> None:
    """Draw the medians and spreads as SVG, and a straight line from nothing through the largest scale."""
    mpl.rcParams["svg.hashsalt"] = "candlemill"
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    points = scaling["points"]
    symbols = [point["symbols"] for point in points]
    for pane, (name, label, colour) in zip(figure.subplots(1, 2), _PANES, strict=True):
        median, least, most = ([point[name][part] for point in points] for part in ("median", "min", "max"))
        pane.fill_between(symbols, least, most, color=colour, alpha=0.25, linewidth=0)
        pane.plot(symbols, median, "o-", color=colour, label=f"median; ~ symbols^{scaling['exponents'][name]}")
        pane.plot([0, symbols[-1]], [0, median[-1]], ":", color="grey", label="proportional")
        pane.set(xlabel="symbols x 7 intervals", ylabel=label, xlim=(0, None), ylim=(0, None))
        pane.legend(frameon=False)
    figure.savefig(target, metadata={"Date": None})
