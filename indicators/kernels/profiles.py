"""Profiles: how the volume of a series spreads over its prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import rolling
from .dispatch import in_lanes

if TYPE_CHECKING:
    from ..contract import Floats, Ints


@in_lanes
def volume_profile(
    prices: Floats, volumes: Floats, low: Floats, high: Floats, bins: int, wanted: float
) -> tuple[Floats, Ints, Ints, Ints, Floats]:
    """Volume in bins of equal width between two prices, and the area around the fullest that has a share of it.

    The area grows from the fullest bin, the lowest of several, by its fuller neighbour, by the lower one of equals.

    Args:
        prices: shape (bars, series); one beyond an end counts in the bin there, NaN in the first.
        volumes: shape (bars, series), added up in the order of the bars.
        low: lower end of each series' first bin, shape (series,).
        high: upper end of its last bin.
        bins: how many.
        wanted: share of the volume that the area is to have.

    Returns:
        Volumes of the bins, shape (bins, series); the fullest bin, the first and the last one of the area, and the
        share that it has; shape (series,) each.
    """
    series = prices.shape[1]
    bin_ = np.clip(np.nan_to_num((prices - low) / (high - low) * bins), 0, bins - 1).astype(np.int64)
    # Bins of all series in one count: series s has the numbers from s x bins on.
    counted = np.bincount((bin_ + np.arange(series) * bins).ravel(), volumes.ravel(), bins * series)
    counts = counted.astype(np.float64, copy=False).reshape(series, bins).T
    peak = counts.argmax(axis=0)
    return counts, peak, *_area(counts, peak, rolling.tail_sum(volumes), wanted)


def _area(volumes: Floats, peak: Ints, total: Floats, wanted: float) -> tuple[Ints, Ints, Floats]:
    """First and last bin of the area around the fullest bin, and its share; (series,) each."""
    bins, series = len(volumes), np.arange(volumes.shape[1])
    # A bin beyond either end is emptier than any.
    fenced = np.concatenate([np.full((1, len(series)), -1.0), volumes, np.full((1, len(series)), -1.0)])
    first, last = peak.copy(), peak.copy()
    covered = volumes[peak, series] / total
    for _ in range(bins - 1):
        growing = (covered < wanted) & ((first > 0) | (last < bins - 1))
        if not growing.any():
            break
        below, above = fenced[first, series], fenced[last + 2, series]
        down = growing & (below >= above) & (first > 0)
        up = growing & ~down & (last < bins - 1)
        first, last = first - down, last + up
        covered = covered + np.where(down, below, np.where(up, above, 0.0)) / total
    return first, last, covered
