"""The memory of one run over its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from .canvas import from_zero

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memray import MemorySnapshot

    from .palette import Palette


def memory(samples: Sequence[MemorySnapshot], marks: Sequence[tuple[str, datetime]], palette: Palette) -> Figure:
    """Resident memory and what the allocators handed out, MiB over seconds, with the stages of the run.

    Args:
        samples: at least one, in the order of time (milliseconds since the epoch; bytes).
        marks: which stage began when.
        palette: the colours.
    """
    begin = samples[0].time / 1000
    seconds = [sample.time / 1000 - begin for sample in samples]
    resident = [sample.rss / 2**20 for sample in samples]
    heap = [sample.heap / 2**20 for sample in samples]
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(seconds, resident, label="resident memory")
    axes.plot(seconds, heap, label="allocated since the capture began")
    axes.set_title(f"Memory of a run, MiB; most resident: {max(resident):.0f} MiB")
    axes.set_xlabel("seconds since the capture began")
    axes.set_ylim(*from_zero(resident))
    axes.set_xlim(0, max(seconds[-1], 0.001))
    for stage, moment in marks:
        at = moment.timestamp() - begin
        axes.axvline(at, color=palette.muted, linewidth=0.7, linestyle=":")
        axes.annotate(
            stage, (at, 0.02), xycoords=axes.get_xaxis_transform(), xytext=(2, 0), textcoords="offset points",
            rotation=90, fontsize=8, color=palette.muted,
        )  # fmt: skip
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure
