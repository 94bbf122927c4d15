"""One run: the seconds of its stages, and its peak memory beside that of the runs before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from .canvas import from_zero

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .palette import Palette

#: Runs whose memory is compared.
_COMPARED = 20


def stages(records: Sequence[Mapping[str, Any]], palette: Palette) -> Figure:
    """The newest of some records (the last): reading and computing by interval, the write; below, the peak memory."""
    record = records[-1]
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    times, memory = figure.subplots(2, 1, height_ratios=(3, 1.4))
    names = [stage["interval"] for stage in record["stages"]]
    places = np.arange(len(names))
    for shift, figure_name, colour in ((-0.2, "t_read", palette.lines[0]), (0.2, "t_compute", palette.lines[1])):
        drawn = times.bar(places + shift, [stage[figure_name] for stage in record["stages"]], 0.4, color=colour)
        drawn.set_label(figure_name)
        times.bar_label(drawn, fmt="%.2f", fontsize=7, color=palette.muted)
    written = times.bar([len(names)], [record["t_write"]], 0.4, color=palette.lines[2], label="t_write")
    times.bar_label(written, fmt="%.2f", fontsize=7, color=palette.muted)
    times.set_xticks(range(len(names) + 1), [*names, "write"])
    times.grid(visible=False, axis="x")
    times.set_title("Stages, seconds; an interval is read while the one before it is computed")
    times.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    compared = records[-_COMPARED:]
    peaks = [other["peak_rss_mb"] for other in compared]
    colours = [palette.grid] * (len(peaks) - 1) + [palette.lines[0]]
    drawn = memory.bar(range(len(peaks)), peaks, 0.6, color=colours)
    memory.bar_label(drawn, fontsize=7, color=palette.muted)
    memory.set_ylim(*from_zero([1.1 * peak for peak in peaks]))
    memory.set_xlim(-0.6, max(len(peaks), 8) - 0.4)
    memory.set_xticks(range(len(peaks)), [other["run_id"][:6] for other in compared], fontsize=7)
    memory.grid(visible=False, axis="x")
    memory.set_title("Peak resident memory, MiB, of this run and those before it")
    figure.suptitle(
        f"Run {record['run_id'][:8]}   {str(record['started_at'])[:19].replace('T', ' ')} UTC   "
        f"total {record['total']:.2f} s   {record['symbols']} symbols   {record['rows']:,} rows",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    return figure
