"""Sums over rows, and the median."""

from __future__ import annotations

import numpy as np

from ..compiled import compiled
from . import FEW, LANES


@compiled("f1 i i i i F2")
def compensated_sums(x, width, n, w, rows, out):  # type: ignore[no-untyped-def]
    """Running sum of ``width`` rows from each window's first row on, compensated; the newest rows: (rows, w)."""
    total = np.empty(LANES)
    adding = np.empty(LANES)
    removing = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            total[k] = 0.0
            adding[k] = 0.0
            removing[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            if i >= width:
                g = x[j + i - width : j + i - width + m]
                for k in range(m):
                    change = g[k] + removing[k]
                    left = total[k] - change
                    removing[k] = (left - total[k]) + change
                    change = v[k] - adding[k]
                    grown = left + change
                    adding[k] = (grown - left) - change
                    total[k] = grown
            else:
                for k in range(m):
                    change = v[k] - adding[k]
                    grown = total[k] + change
                    adding[k] = (grown - total[k]) - change
                    total[k] = grown
            r = i - (n - rows)
            if r >= 0:
                for k in range(m):
                    out[r, j + k] = total[k]


@compiled("f1 i i F1")
def sums(x, n, w, out):  # type: ignore[no-untyped-def]
    """Sum of all rows, row after row."""
    total = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            total[k] = x[j + k]
        for i in range(1, n):
            v = x[j + i : j + i + m]
            for k in range(m):
                total[k] += v[k]
        for k in range(m):
            out[j + k] = total[k]


@compiled("f1 f1 i i F1")
def squares(x, mean, n, w, out):  # type: ignore[no-untyped-def]
    """Sum of the squared deviations from each window's mean, of all rows but NaN."""
    total = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        middle = mean[j : j + m]
        for k in range(m):
            total[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            for k in range(m):
                d = v[k] - middle[k]
                d = d * d
                total[k] += d if d == d else 0.0
        for k in range(m):
            out[j + k] = total[k]


@compiled("f1 f1 f1 f1 i i F1 F1")
def products(x, mean_of_x, y, mean_of_y, n, w, squared, crossed):  # type: ignore[no-untyped-def]
    """Sums of the squared deviations of x and of both deviations' products, of all rows but NaN."""
    square = np.empty(LANES)
    cross = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        mx = mean_of_x[j : j + m]
        my = mean_of_y[j : j + m]
        for k in range(m):
            square[k] = 0.0
            cross[k] = 0.0
        for i in range(n):
            u = x[j + i : j + i + m]
            v = y[j + i : j + i + m]
            for k in range(m):
                d = u[k] - mx[k]
                e = d * (v[k] - my[k])
                d = d * d
                square[k] += d if d == d else 0.0
                cross[k] += e if e == e else 0.0
        for k in range(m):
            squared[j + k] = square[k]
            crossed[j + k] = cross[k]


@compiled("f1 i i i1 F2")
def running_sums(x, n, w, at, out):  # type: ignore[no-untyped-def]
    """Sums from the first row up to each of some rows, which rise: (rows, w)."""
    total = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        q = 0
        for k in range(m):
            total[k] = x[j + k]
        for i in range(n):
            if i > 0:
                v = x[j + i : j + i + m]
                for k in range(m):
                    total[k] += v[k]
            while q < len(at) and at[q] == i:
                for k in range(m):
                    out[q, j + k] = total[k]
                q += 1


@compiled("f2 F1")
def medians(rows, out):  # type: ignore[no-untyped-def]
    """Median of the rows of each column."""
    n, w = rows.shape
    kept = np.empty((n, FEW))
    for j in range(0, w, FEW):
        m = min(FEW, w - j)
        for i in range(n):
            for k in range(m):
                kept[i, k] = rows[i, j + k]
        # Neighbours that are in the wrong order change places, in turns those from even and from odd rows on.
        for turn in range(n):
            for i in range(turn % 2, n - 1, 2):
                u = kept[i]
                v = kept[i + 1]
                for k in range(m):
                    a = u[k]
                    b = v[k]
                    u[k] = min(a, b)
                    v[k] = max(b, a)
        for k in range(m):
            out[j + k] = kept[n // 2, k] if n % 2 else (kept[n // 2 - 1, k] + kept[n // 2, k]) / 2
