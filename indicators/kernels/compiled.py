"""Loops over the windows of a series, compiled: lanes are neighbouring windows that go step by step together.

Every window takes the operations of a live run in their order, so it has its values, to the last bit; nothing here may
be reordered, and the compiler does not. That neighbours go together puts them into the lanes of the processor's
vectors, and the bars that they share into its first cache.

In all functions row i of window j is the element i + j of an array by bar; ``n`` are the rows of a window, ``w`` the
windows. Results go into the last arguments. ``numba`` is imported when the first function is called, and a function is
compiled when it is.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Windows that go together: what they carry along, and the bars of a step, stay in the processor's first cache.
LANES = 256
#: The same where each window has room for many rows.
FEW = 64
#: Windows that go together where what is computed by bar is computed for those in one go.
MANY = 2048

_folder: list[Path] = []


def keep_in(folder: Path) -> None:
    """Keep what is compiled from now on in a folder, and take from there what is kept."""
    _folder[:] = [folder]


class Compiled:
    """A function that is compiled when it is first called, for one signature."""

    def __init__(self, function: Callable[..., None], signature: str) -> None:
        self.function = function
        self.signature = signature
        self._machine: Callable[..., None] | None = None

    def __call__(self, *arguments: Any) -> None:
        """Run it."""
        if self._machine is None:
            self._machine = _compile(self.function, self.signature)
        self._machine(*arguments)


def compiled(signature: str) -> Callable[[Callable[..., None]], Compiled]:
    """Compile the decorated function, see ``Compiled``.

    The signature has a letter for the type of each argument (f float, i integer, b boolean) with the dimensions of an
    array behind it; a capital is one that is written to.
    """
    return lambda function: Compiled(function, signature)


def _compile(function: Callable[..., None], signature: str) -> Callable[..., None]:
    from numba import njit, types

    kinds = {"f": types.float64, "i": types.int64, "b": types.boolean}

    def of(word: str) -> Any:
        kind = kinds[word[0].lower()]
        return types.Array(kind, int(word[1:]), "C", readonly=word[0].islower()) if word[1:] else kind

    def machine(*, kept: bool) -> Callable[..., None]:
        with _pointed_to_the_folder() if kept else nullcontext():
            # No fastmath: it would reorder. Without the checks of Python's division, as NumPy divides.
            dispatcher = njit(nogil=True, error_model="numpy", cache=kept)(function)
        dispatcher.compile(types.void(*map(of, signature.split())))
        dispatcher.disable_compile()
        found: Callable[..., None] = dispatcher
        return found

    if _folder:
        # Whatever is wrong with what is kept, or with keeping it: it can be made anew.
        with suppress(Exception):
            return machine(kept=True)
    return machine(kept=False)


@contextmanager
def _pointed_to_the_folder() -> Iterator[None]:
    """Have numba keep in our folder the functions that are decorated meanwhile, and no others."""
    from numba.core import config

    before = config.CACHE_DIR
    config.CACHE_DIR = str(_folder[0])
    try:
        yield
    finally:
        config.CACHE_DIR = before


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
            # What a step loads and stores is more than it computes: two go together.
            while i + 2 <= n - rows:
                u = x[j + i : j + i + m]
                v = x[j + i + 1 : j + i + 1 + m]
                for k in range(m):
                    z = (u[k] - y[k]) * a + y[k]
                    y[k] = (v[k] - z) * a + z
                i += 2
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
                y[k] = (v[k] - y[k]) / s + y[k]
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
                        y[k] = (u[k] - y[k]) / s + y[k]
                        z[k] = (v[k] - z[k]) / s + z[k]
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
                y[k] = (y[k] * (period - 1) + v[k]) / period
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


@compiled("f1 f1 f1 f1 f1 f f i i F1 F1 B1")
def supertrend(high, low, close, ranges, seed, alpha, multiplier, n, w, upper, lower, short):  # type: ignore[no-untyped-def]
    """Final bands and direction of the SuperTrend; the true range's smoothing runs along."""
    average = np.empty(LANES)
    top = np.empty(LANES)
    bottom = np.empty(LANES)
    follows = np.empty(LANES, np.bool_)
    falls = np.empty(LANES, np.bool_)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            average[k] = seed[j + k]
            middle = (high[j + k] + low[j + k]) / 2
            reach = multiplier * average[k]
            top[k] = middle + reach
            bottom[k] = middle - reach
            follows[k] = top[k] == 0.0
            falls[k] = False
        for i in range(1, n):
            b = j + i
            hi = high[b : b + m]
            lo = low[b : b + m]
            x = ranges[b : b + m]
            last = close[b - 1 : b - 1 + m]
            price = close[b : b + m]
            for k in range(m):
                y = (x[k] - average[k]) * alpha + average[k]
                average[k] = y
                middle = (hi[k] + lo[k]) / 2
                reach = multiplier * y
                basic_upper = middle + reach
                basic_lower = middle - reach
                t = top[k]
                o = bottom[k]
                t = basic_upper if last[k] > t or basic_upper < t else t
                o = basic_lower if last[k] < o or basic_lower > o else o
                s = price[k] <= t if follows[k] else price[k] < o
                top[k] = t
                bottom[k] = o
                falls[k] = s
                follows[k] = (o == t) | s
        for k in range(m):
            upper[j + k] = top[k]
            lower[j + k] = bottom[k]
            short[j + k] = falls[k]


@compiled("f1 f1 f1 f i i F1 F1 F1")
def directional_movement(ranges, plus, minus, alpha, n, w, adx, plus_di, minus_di):  # type: ignore[no-untyped-def]
    """ADX and both directional indices: three smoothings from 0 at the first bar, and that of their spread."""
    s = np.empty(LANES)
    p = np.empty(LANES)
    q = np.empty(LANES)
    y = np.empty(LANES)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            s[k] = 0.0
            p[k] = 0.0
            q[k] = 0.0
            y[k] = 0.0
        for i in range(1, n):
            b = j + i
            x = ranges[b : b + m]
            u = plus[b : b + m]
            v = minus[b : b + m]
            for k in range(m):
                s[k] = (x[k] - s[k]) * alpha + s[k]
                p[k] = (u[k] - p[k]) * alpha + p[k]
                q[k] = (v[k] - q[k]) * alpha + q[k]
                up = 100 * p[k] / s[k] if s[k] > 0 else 0.0
                down = 100 * q[k] / s[k] if s[k] > 0 else 0.0
                both = up + down
                spread = 100 * abs(up - down) / both if both > 0 else 0.0
                y[k] = (spread - y[k]) * alpha + y[k]
        for k in range(m):
            adx[j + k] = y[k]
            plus_di[j + k] = 100 * p[k] / s[k] if s[k] > 0 else 0.0
            minus_di[j + k] = 100 * q[k] / s[k] if s[k] > 0 else 0.0


@compiled("f1 f1 f1 f1 f i i i F3")
def smoothed_heikin_ashi(open_, high, low, close, alpha, n, w, rows, out):  # type: ignore[no-untyped-def]
    """Newest rows of the twice smoothed Heikin-Ashi candles: (rows, 4, w)."""
    once = np.empty((4, LANES))
    ha_open = np.empty(LANES)
    ha_close = np.empty(LANES)
    twice = np.empty((4, LANES))
    so, sh, sl, sc = once
    to, th, tl, tc = twice
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            so[k] = open_[j + k]
            sh[k] = high[j + k]
            sl[k] = low[j + k]
            sc[k] = close[j + k]
            ha_close[k] = (so[k] + sh[k] + sl[k] + sc[k]) / 4
            ha_open[k] = (so[k] + sc[k]) / 2
            to[k] = ha_open[k]
            th[k] = max(max(sh[k], ha_open[k]), ha_close[k])
            tl[k] = min(min(sl[k], ha_open[k]), ha_close[k])
            tc[k] = ha_close[k]
        for i in range(n):
            b = j + i
            if i > 0:
                o = open_[b : b + m]
                h = high[b : b + m]
                l = low[b : b + m]  # noqa: E741 - the four prices
                c = close[b : b + m]
                for k in range(m):
                    so[k] = (o[k] - so[k]) * alpha + so[k]
                    sh[k] = (h[k] - sh[k]) * alpha + sh[k]
                    sl[k] = (l[k] - sl[k]) * alpha + sl[k]
                    sc[k] = (c[k] - sc[k]) * alpha + sc[k]
                    ha_open[k] = (ha_close[k] - ha_open[k]) * 0.5 + ha_open[k]
                    ha_close[k] = (so[k] + sh[k] + sl[k] + sc[k]) / 4
                    top = max(max(sh[k], ha_open[k]), ha_close[k])
                    bottom = min(min(sl[k], ha_open[k]), ha_close[k])
                    to[k] = (ha_open[k] - to[k]) * alpha + to[k]
                    th[k] = (top - th[k]) * alpha + th[k]
                    tl[k] = (bottom - tl[k]) * alpha + tl[k]
                    tc[k] = (ha_close[k] - tc[k]) * alpha + tc[k]
            r = i - (n - rows)
            if r >= 0:
                for q in range(4):
                    for k in range(m):
                        out[r, q, j + k] = twice[q, k]


@compiled("f1 f1 f1 f1 i i f f i f i F2")
def zero_lag(ahead, ranges, seed, close, n, lag, alpha, alpha_of_ranges, widest, width, w, out):  # type: ignore[no-untyped-def]
    """What both zero-lag indicators need of each window: (6, w).

    Side of the last cross (1 up, -1 down, 0 none), row of the first cross to that side since one to the other (0 where
    there was none), average and band of the newest bar, state before it and at it.

    ``ahead`` is what the average smooths, from row ``lag`` of a window on. The band is the highest smoothed range of
    ``widest`` rows: running extremes of blocks of so many, forwards and backwards, give it for every row.
    """
    average = np.empty((n, FEW))
    onwards = np.empty((n, FEW))
    back = np.empty((n, FEW))
    y = np.empty(FEW)
    for j in range(0, w, FEW):
        m = min(FEW, w - j)
        for k in range(m):
            y[k] = seed[j + k]
        for i in range(n):
            v = ranges[j + i : j + i + m]
            z = back[i]
            if i > 0:
                for k in range(m):
                    y[k] = (v[k] - y[k]) * alpha_of_ranges + y[k]
            for k in range(m):
                z[k] = y[k]
            if i % widest == 0:
                for k in range(m):
                    onwards[i, k] = z[k]
            else:
                for k in range(m):
                    onwards[i, k] = max(onwards[i - 1, k], z[k])
        for i in range(n - 2, -1, -1):
            if i % widest != widest - 1:
                z = back[i]
                later = back[i + 1]
                for k in range(m):
                    z[k] = max(later[k], z[k])
        for k in range(m):
            y[k] = ahead[j + lag + k]
            average[lag, k] = y[k]
        for i in range(lag + 1, n):
            v = ahead[j + i : j + i + m]
            z = average[i]
            for k in range(m):
                y[k] = (v[k] - y[k]) * alpha + y[k]
                z[k] = y[k]
        for k in range(m):
            side = 0
            turn = 0
            before = 0
            state = 0
            crossing = True
            standing = True
            i = n - 1
            while i >= max(lag, 1) and (crossing or standing):
                oldest = i - widest + 1
                top = onwards[i, k] if oldest <= 0 else max(back[oldest, k], onwards[i, k])
                band = width * top
                upper = average[i, k] + band
                lower = average[i, k] - band
                now = close[j + k + i]
                if i == n - 1:
                    out[2, j + k] = average[i, k]
                    out[3, j + k] = band
                if crossing:
                    last = close[j + k + i - 1]
                    event = 0
                    if last <= upper and now > upper:
                        event = 1
                    elif last >= lower and now < lower:
                        event = -1
                    if event != 0:
                        if side != 0 and event != side:
                            crossing = False
                        else:
                            side = event
                            turn = i
                if standing:
                    event = 0
                    if i < widest - 1:
                        standing = False
                    elif now > upper:
                        event = 1
                    elif now < lower:
                        event = -1
                    if event != 0:
                        if state == 0:
                            state = event
                        if i < n - 1:
                            before = event
                            standing = False
                i -= 1
            out[0, j + k] = side
            out[1, j + k] = turn
            out[4, j + k] = before
            out[5, j + k] = state


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


@compiled("f1 f1 f1 f1 f1 i f i i I1 F2 I2 F1")
def volume_profile(price, volume, low, span, total, bins, wanted, n, w, bin_, counts, places, covered):  # type: ignore[no-untyped-def]
    """Volume in each bin of each window, (w, bins); its fullest bin, the first and the last of the area, (3, w).

    ``bin_`` is room for the bin of each bar: neighbours of the same range have the bars in the same bins.
    """
    for j in range(w):
        same = j > 0 and low[j] == low[j - 1] and span[j] == span[j - 1]
        for i in range(j + n - 1 if same else j, j + n):
            place = (price[i] - low[j]) / span[j] * bins
            place = place if place == place else 0.0
            bin_[i] = int(min(max(place, 0.0), bins - 1.0))
        row = counts[j]
        for i in range(bins):
            row[i] = 0.0
        for i in range(j, j + n):
            row[bin_[i]] += volume[i]
        peak = 0
        for i in range(1, bins):
            if row[i] > row[peak]:
                peak = i
        first = peak
        last = peak
        share = row[peak] / total[j]
        for _ in range(bins - 1):
            if not (share < wanted and (first > 0 or last < bins - 1)):
                break
            below = row[first - 1] if first > 0 else -1.0
            above = row[last + 1] if last < bins - 1 else -1.0
            if below >= above and first > 0:
                first -= 1
                share = share + below / total[j]
            else:
                last += 1
                share = share + above / total[j]
        places[0, j] = peak
        places[1, j] = first
        places[2, j] = last
        covered[j] = share


@compiled("f1 i i1 i1 f1 f1 b F1 B1")
def lines(close, n, series, row, value, step, falling, height, valid):  # type: ignore[no-untyped-def]
    """Height of each line at the newest bar, NaN where a close lies beyond it, and where none does."""
    for q in range(len(series)):
        j = series[q]
        reach = n - 1 - row[q]
        at = step[q] + value[q]
        ok = True
        for back in range(reach):
            if back > 0:
                at = at + step[q]
            c = close[j + reach - 1 - back]
            if (falling and c > at) or (not falling and c < at):
                ok = False
                break
        valid[q] = ok
        height[q] = value[q] + (at - value[q]) / reach * reach if ok else np.nan
