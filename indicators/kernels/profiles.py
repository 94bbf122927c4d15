"""Profiles: how the volume of a series spreads over its prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .dispatch import in_lanes

if TYPE_CHECKING:
    from ..contract import Array, Floats


@in_lanes
def volume_by_price(prices: Floats, volumes: Floats, low: Floats, high: Floats, bins: int) -> Floats:
    """Volume in each of the bins of equal width between two prices, shape (bins, series).

    Args:
        prices: shape (bars, series); one beyond an end counts in the bin there, NaN in the first.
        volumes: shape (bars, series), added up in the order of the bars.
        low: lower end of each series' first bin, shape (series,).
        high: upper end of its last bin.
        bins: how many.
    """
    series = prices.shape[1]
    bin_ = np.clip(np.nan_to_num((prices - low) / (high - low) * bins), 0, bins - 1).astype(np.int64)
    # Bins of all series in one count: series s has the numbers from s x bins on.
    counted = np.bincount((bin_ + np.arange(series) * bins).ravel(), volumes.ravel(), bins * series)
    return counted.astype(np.float64, copy=False).reshape(series, bins).T


def value_area(volumes: Floats, peak: Array, total: Floats, wanted: float) -> tuple[Array, Array, Floats]:
    """First and last bin of the area around the peak with the wanted share of volume, and its share; (series,) each.

    It grows by the fuller neighbour, by the lower one where they are equal.
    """
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
