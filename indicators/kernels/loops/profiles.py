"""Profiles: how the volume of a window spreads over its prices."""

from __future__ import annotations

import numpy as np

from ..compiled import compiled

#: Windows of the same range whose volumes go together: as many as the processor's vectors take in a few steps.
_TOGETHER = 16


@compiled("f1 f1 f1 f1 f1 i f i i I1 F2 I2 F1")
def volume_profile(price, volume, low, span, total, bins, wanted, n, w, bin_, counts, places, covered):  # type: ignore[no-untyped-def]
    """Volume in each bin of each window, (w, bins); its fullest bin, the first and the last of the area, (3, w).

    ``bin_`` is room for the bin of each bar: neighbours of the same range have the bars in the same bins.
    """
    sums = np.empty((bins, _TOGETHER))
    j = 0
    known = 0
    while j < w:
        more = 1
        while more < _TOGETHER and j + more < w and low[j + more] == low[j] and span[j + more] == span[j]:
            more += 1
        if j == 0 or low[j] != low[j - 1] or span[j] != span[j - 1]:
            known = j
        for i in range(known, j + more - 1 + n):
            place = (price[i] - low[j]) / span[j] * bins
            place = place if place == place else 0.0
            bin_[i] = int(min(max(place, 0.0), bins - 1.0))
        known = j + more - 1 + n
        sums[:] = 0.0
        # The bars that the first windows have and the last have not, those of all, and the other way round.
        for i in range(j, j + more - 1):
            row = sums[bin_[i]]
            for k in range(i - j + 1):
                row[k] += volume[i]
        for i in range(j + more - 1, j + n):
            row = sums[bin_[i]]
            amount = volume[i]
            for k in range(_TOGETHER):
                row[k] += amount
        for i in range(j + n, j + more - 1 + n):
            row = sums[bin_[i]]
            for k in range(i - j - n + 1, more):
                row[k] += volume[i]
        for k in range(more):
            row = counts[j + k]
            for i in range(bins):
                row[i] = sums[i, k]
            peak = 0
            for i in range(1, bins):
                if row[i] > row[peak]:
                    peak = i
            first = peak
            last = peak
            share = row[peak] / total[j + k]
            for _ in range(bins - 1):
                if not (share < wanted and (first > 0 or last < bins - 1)):
                    break
                below = row[first - 1] if first > 0 else -1.0
                above = row[last + 1] if last < bins - 1 else -1.0
                if below >= above and first > 0:
                    first -= 1
                    share = share + below / total[j + k]
                else:
                    last += 1
                    share = share + above / total[j + k]
            places[0, j + k] = peak
            places[1, j + k] = first
            places[2, j + k] = last
            covered[j + k] = share
        j += more
