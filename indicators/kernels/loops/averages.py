"""Averages that run from bar to bar, and what is made of them on the way."""

from __future__ import annotations

import numpy as np

from ..compiled import compiled, quotient
from . import LANES, MANY


@compiled("f1 f1 f1 i i i F3")
def emas(x, seed, alphas, n, w, rows, out):  # type: ignore[no-untyped-def]
    """Newest rows of several EMAs of one series, each window's from its own first value: (rows, alphas, w)."""
    y = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for q in range(len(alphas)):
            a = alphas[q]
            for k in range(m):
                y[k] = seed[j + k]
            i = 1
            # What a step loads and stores is more than it computes: some go together.
            while i + 4 <= n - rows:
                u = x[j + i : j + i + m]
                v = x[j + i + 1 : j + i + 1 + m]
                s = x[j + i + 2 : j + i + 2 + m]
                t = x[j + i + 3 : j + i + 3 + m]
                for k in range(m):
                    z = (u[k] - y[k]) * a + y[k]
                    z = (v[k] - z) * a + z
                    z = (s[k] - z) * a + z
                    y[k] = (t[k] - z) * a + z
                i += 4
            if rows == n:
                for k in range(m):
                    out[0, q, j + k] = y[k]
            while i < n:
                v = x[j + i : j + i + m]
                for k in range(m):
                    y[k] = (v[k] - y[k]) * a + y[k]
                if i >= n - rows:
                    for k in range(m):
                        out[i - (n - rows), q, j + k] = y[k]
                i += 1


@compiled("f1 f1 i i F2")
def fading_sums(x, factors, n, w, out):  # type: ignore[no-untyped-def]
    """Sums of all rows, each fading by a factor with every row after it: (factors, w).

    Sums of 2, 4, 8 bars are made once per bar, and those of a window from them.
    """
    sums = np.empty(MANY + n)
    longer = np.empty(MANY + n)
    for j in range(0, w, MANY):
        m = min(MANY, w - j)
        bars = m + n - 1
        for q in range(len(factors)):
            factor = factors[q]
            for i in range(bars):
                sums[i] = x[j + i]
            covered = 1
            done = 0
            while True:
                # The oldest rows of a window are in the least power of two; what is older than a sum fades behind it.
                if n & covered:
                    newest = sums[done + covered - 1 : done + covered - 1 + m]
                    if done == 0:
                        for k in range(m):
                            out[q, j + k] = newest[k]
                    else:
                        for k in range(m):
                            out[q, j + k] = newest[k] + factor * out[q, j + k]
                    done += covered
                if done == n:
                    break
                # The first bar with a sum is the one that has so many up to it.
                older = sums[covered - 1 : bars - covered]
                newer = sums[2 * covered - 1 : bars]
                both = longer[2 * covered - 1 : bars]
                for i in range(len(both)):
                    both[i] = factor * older[i] + newer[i]
                sums, longer = longer, sums
                covered = 2 * covered
                factor = factor * factor


@compiled("f2 f2 F1")
def mean_strength(gain, loss, out):  # type: ignore[no-untyped-def]
    """Mean of the relative strengths that sums of rises and falls, (periods, w), make; of none NaN."""
    rows, w = gain.shape
    total = np.empty(LANES)
    least = np.empty(LANES)
    most = np.empty(LANES)
    known = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            total[k] = 0.0
            least[k] = np.inf
            most[k] = -np.inf
            known[k] = 0.0
        for i in range(rows):
            u = gain[i, j : j + m]
            v = loss[i, j : j + m]
            for k in range(m):
                strength = 100 - 100 / (1 + u[k] / v[k])
                here = (v[k] != 0) & (strength == strength)
                total[k] += strength if here else 0.0
                least[k] = strength if here & (strength < least[k]) else least[k]
                most[k] = strength if here & (strength > most[k]) else most[k]
                known[k] += 1.0 if here else 0.0
        for k in range(m):
            mean = total[k] / (known[k] if known[k] > 0 else np.nan)
            out[j + k] = least[k] if least[k] == most[k] else mean


@compiled("f1 f f f i i F2 F2")
def convergence(x, fast, slow, signal, n, w, dif, dea):  # type: ignore[no-untyped-def]
    """Newest two rows of the difference of two EMAs, and of its EMA: (2, w) each."""
    a = np.empty(LANES)
    b = np.empty(LANES)
    d = np.empty(LANES)
    e = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            a[k] = x[j + k]
            b[k] = a[k]
            d[k] = a[k] - b[k]
            e[k] = d[k]
        for i in range(1, n):
            v = x[j + i : j + i + m]
            for k in range(m):
                a[k] = (v[k] - a[k]) * fast + a[k]
                b[k] = (v[k] - b[k]) * slow + b[k]
                d[k] = a[k] - b[k]
                e[k] = (d[k] - e[k]) * signal + e[k]
            r = i - (n - 2)
            if r >= 0:
                for k in range(m):
                    dif[r, j + k] = d[k]
                    dea[r, j + k] = e[k]


@compiled("f1 f i b1 i i F2 F2")
def smoothed_twice(x, alpha, minimum, gapped, n, w, once, twice):  # type: ignore[no-untyped-def]
    """Newest two rows of an EMA over gaps and of the same of it: (2, w) each.

    ``gapped`` are the windows with a gap: only these take the arrangement in which the old value fades. The first EMA
    has no gaps once it has begun.
    """
    y = np.empty(LANES)
    z = np.empty(LANES)
    fading = np.empty(LANES)
    seen = np.empty(LANES)
    seen_twice = np.empty(LANES)
    rest = 1.0 - alpha
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        gaps = False
        for k in range(m):
            gaps = gaps or gapped[j + k]
            y[k] = np.nan
            z[k] = np.nan
            fading[k] = 1.0
            seen[k] = 0.0
            seen_twice[k] = 0.0
        for i in range(n):
            v = x[j + i : j + i + m]
            if not gaps and i > minimum:
                for k in range(m):
                    y[k] = (v[k] - y[k]) * alpha + y[k]
                    z[k] = (y[k] - z[k]) * alpha + z[k]
            else:
                for k in range(m):
                    f = fading[k] * rest
                    if abs(v[k]) < np.inf:
                        if seen[k] == 0:
                            y[k] = v[k]
                        elif gapped[j + k]:
                            y[k] = y[k] + (alpha / (f + alpha)) * (v[k] - y[k])
                        else:
                            y[k] = (v[k] - y[k]) * alpha + y[k]
                        seen[k] += 1.0
                        fading[k] = 1.0
                    elif seen[k] > 0:
                        fading[k] = f
                    if seen[k] >= minimum:
                        if seen_twice[k] == 0:
                            z[k] = y[k]
                        else:
                            z[k] = (y[k] - z[k]) * alpha + z[k]
                        seen_twice[k] += 1.0
            r = i - (n - 2)
            if r >= 0:
                for k in range(m):
                    enough = seen[k] >= minimum
                    once[r, j + k] = y[k] if enough else np.nan
                    # Without gaps the counts end where the fast way begins: after the first one that it needs.
                    late_enough = seen_twice[k] >= minimum or (not gaps and i >= 2 * minimum - 2)
                    twice[r, j + k] = z[k] if late_enough else np.nan


@compiled("f1 f2 i i F1")
def weighted_mean(x, sums, n, w, out):  # type: ignore[no-untyped-def]
    """Newest weighted mean; ``sums``: the sum of the weights by row, shape (n, 1)."""
    y = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            y[k] = x[j + k]
        for i in range(1, n):
            v = x[j + i : j + i + m]
            s = sums[i, 0]
            for k in range(m):
                y[k] = quotient(v[k] - y[k], s) + y[k]
        for k in range(m):
            out[j + k] = y[k]


@compiled("f1 f1 f2 i i i i i F3 F2 I1")
def weighted_rises_and_falls(rise, fall, sums, place, least, n, w, tail, newest, ratios, known):  # type: ignore[no-untyped-def]
    """Newest weighted means of rises and falls by period: (periods, 2, w); of one period the ratios of the newest rows.

    Ratios (tail, w) are NaN before row ``least``; ``known`` counts, over all rows, those that are not.
    """
    p = sums.shape[1]
    up = np.empty((p, LANES))
    down = np.empty((p, LANES))
    count = np.empty(LANES, np.int64)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for q in range(p):
            for k in range(m):
                up[q, k] = rise[j + k]
                down[q, k] = fall[j + k]
        for k in range(m):
            count[k] = 0
        for i in range(n):
            if i > 0:
                u = rise[j + i : j + i + m]
                v = fall[j + i : j + i + m]
                for q in range(p):
                    s = sums[i, q]
                    y = up[q]
                    z = down[q]
                    for k in range(m):
                        y[k] = quotient(u[k] - y[k], s) + y[k]
                        z[k] = quotient(v[k] - z[k], s) + z[k]
            y = up[place]
            z = down[place]
            if i >= least:
                for k in range(m):
                    # 0 / 0 is NaN, and neither of them ever is.
                    count[k] += 1 if y[k] != 0 or z[k] != 0 else 0
            r = i - (n - tail)
            if r >= 0:
                for k in range(m):
                    ratios[r, j + k] = y[k] / z[k] if i >= least else np.nan
        for q in range(p):
            for k in range(m):
                newest[q, 0, j + k] = up[q, k]
                newest[q, 1, j + k] = down[q, k]
        for k in range(m):
            known[j + k] = count[k]


@compiled("f1 i i i F1")
def smoothed(x, period, n, w, out):  # type: ignore[no-untyped-def]
    """Newest smoothed average: the mean of the first ``period`` rows by a compensated sum, then the recursion."""
    y = np.empty(LANES)
    lost = np.empty(LANES)
    low = np.empty(LANES)
    high = np.empty(LANES)
    divisor = float(period)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            y[k] = 0.0
            lost[k] = 0.0
            low[k] = x[j + k]
            high[k] = x[j + k]
        for i in range(period):
            v = x[j + i : j + i + m]
            for k in range(m):
                change = v[k] - lost[k]
                grown = y[k] + change
                lost[k] = (grown - y[k]) - change
                y[k] = grown
                low[k] = min(low[k], v[k])
                high[k] = max(high[k], v[k])
        for k in range(m):
            y[k] = low[k] if low[k] == high[k] else y[k] / period
        for i in range(period, n):
            v = x[j + i : j + i + m]
            for k in range(m):
                y[k] = quotient(y[k] * (period - 1) + v[k], divisor)
        for k in range(m):
            out[j + k] = y[k]


@compiled("f1 f1 f i i F1 F1 F1")
def range_of_ema(x, seed, alpha, n, w, low, high, newest):  # type: ignore[no-untyped-def]
    """Least, greatest and newest value of an EMA."""
    y = np.empty(LANES)
    least = np.empty(LANES)
    most = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            y[k] = seed[j + k]
            least[k] = y[k]
            most[k] = y[k]
        for i in range(1, n):
            v = x[j + i : j + i + m]
            for k in range(m):
                z = (v[k] - y[k]) * alpha + y[k]
                y[k] = z
                least[k] = min(least[k], z)
                most[k] = max(most[k], z)
        for k in range(m):
            low[j + k] = least[k]
            high[j + k] = most[k]
            newest[j + k] = y[k]
