"""The history of runs: how long they took, and the memory they needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .canvas import from_zero

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .palette import Palette

_TIMES = ("total", "t_read", "t_compute", "t_write")


def trend(records: Sequence[Mapping[str, Any]], palette: Palette) -> Figure:
    """Seconds (above) and peak memory in MiB (below) of run after run, at equal distances whatever lies between."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    times, memory = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.4))
    numbers = range(len(records))
    # Beyond some runs the marks would hide the lines.
    marker = "o" if len(records) <= 60 else None
    for name in _TIMES:
        times.plot(numbers, [record[name] for record in records], marker=marker, markersize=3, label=name)
    times.set_title("Duration by run, seconds")
    times.legend(ncols=len(_TIMES), loc="lower right", bbox_to_anchor=(1, 1))
    peaks = [record["peak_rss_mb"] for record in records]
    memory.plot(numbers, peaks, marker=marker, markersize=3, color=palette.muted)
    memory.set_title("Peak resident memory, MiB")
    times.set_ylim(*from_zero([record["total"] for record in records]))
    memory.set_ylim(*from_zero(peaks))
    starts = [str(record["started_at"])[5:16].replace("T", "\n") for record in records]
    memory.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    memory.xaxis.set_major_formatter(FuncFormatter(lambda x, _: starts[round(x)] if 0 <= x < len(starts) else ""))
    memory.set_xlabel("start of the run, UTC")
    return figure
