"""Rows of which some are missing."""

from __future__ import annotations

import numpy as np

from ..compiled import compiled
from . import LANES


@compiled("f1 i1 i i F1 F1 F1")
def mean_std(x, first, n, w, mean, squared, count):  # type: ignore[no-untyped-def]
    """Mean, sum of the squared deviations and number of the rows after ``first`` of each window but NaN."""
    total = np.empty(LANES)
    least = np.empty(LANES)
    most = np.empty(LANES)
    known = np.empty(LANES)
    begin = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            total[k] = 0.0
            least[k] = np.inf
            most[k] = -np.inf
            known[k] = 0.0
            begin[k] = first[j + k]
        for i in range(n):
            v = x[j + i : j + i + m]
            row = float(i)
            for k in range(m):
                here = (v[k] == v[k]) & (row > begin[k])
                total[k] += v[k] if here else 0.0
                least[k] = v[k] if here & (v[k] < least[k]) else least[k]
                most[k] = v[k] if here & (v[k] > most[k]) else most[k]
                known[k] += 1.0 if here else 0.0
        for k in range(m):
            middle = total[k] / (known[k] if known[k] > 0 else np.nan)
            middle = least[k] if least[k] == most[k] else middle
            least[k] = middle
            mean[j + k] = middle
            count[j + k] = known[k]
            total[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            row = float(i)
            for k in range(m):
                d = v[k] - least[k]
                d = d * d
                total[k] += d if (d == d) & (row > begin[k]) else 0.0
        for k in range(m):
            squared[j + k] = total[k]


@compiled("f1 f1 i i I1")
def count_up_to(x, limit, n, w, out):  # type: ignore[no-untyped-def]
    """How many rows are not above each window's limit."""
    known = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        most = limit[j : j + m]
        for k in range(m):
            known[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            for k in range(m):
                known[k] += 1.0 if v[k] <= most[k] else 0.0
        for k in range(m):
            out[j + k] = int(known[k])


@compiled("f1 i i F1")
def products_with_places(x, n, w, out):  # type: ignore[no-untyped-def]
    """Sum of the rows but NaN, each times how many there are before it."""
    total = np.empty(LANES)
    place = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            total[k] = 0.0
            place[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            for k in range(m):
                product = place[k] * v[k]
                here = v[k] == v[k]
                total[k] += product if product == product else 0.0
                place[k] += 1.0 if here else 0.0
        for k in range(m):
            out[j + k] = total[k]
