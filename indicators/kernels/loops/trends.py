"""Trends: bands, movement, candles and lines that follow a price."""

from __future__ import annotations

import numpy as np

from ..compiled import compiled
from . import LANES


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
    ``widest`` rows: of a block of so many rows it is that of the block so far, or that of the rest of the block before,
    whichever is higher.
    """
    # Of the block before, the highest range of a row and all after it; behind, the ranges of this block.
    rest = np.empty((widest + 1, LANES))
    smooth = np.empty(LANES)
    highest = np.empty(LANES)
    average = np.empty(LANES)
    band = np.empty(LANES)
    side = np.empty(LANES)
    turn = np.empty(LANES)
    before = np.empty(LANES)
    state = np.empty(LANES)
    begin = max(lag, 1)
    for j in range(0, w, LANES):
        m = min(LANES, w - j)
        for k in range(m):
            smooth[k] = seed[j + k]
            average[k] = np.nan
            band[k] = np.nan
            side[k] = 0.0
            turn[k] = 0.0
            before[k] = 0.0
            state[k] = 0.0
        rest[:] = -np.inf
        for i in range(n):
            at = i % widest
            here = rest[at]
            older = rest[at + 1]
            x = ranges[j + i : j + i + m]
            v = ahead[j + i : j + i + m]
            if at == 0:
                highest[:] = -np.inf
            if i == lag:
                average[:m] = v
            if i < begin:
                if i > 0:
                    for k in range(m):
                        smooth[k] = (x[k] - smooth[k]) * alpha_of_ranges + smooth[k]
                for k in range(m):
                    highest[k] = max(highest[k], smooth[k])
                    here[k] = smooth[k]
            else:
                last = close[j + i - 1 : j + i - 1 + m]
                now = close[j + i : j + i + m]
                row = float(i)
                for k in range(m):
                    z = (x[k] - smooth[k]) * alpha_of_ranges + smooth[k]
                    smooth[k] = z
                    here[k] = z
                    highest[k] = max(highest[k], z)
                for k in range(m):
                    band[k] = width * max(older[k], highest[k])
                    # The first value is left as it is.
                    average[k] = (v[k] - average[k]) * alpha + average[k]
                for k in range(m):
                    upper = average[k] + band[k]
                    lower = average[k] - band[k]
                    s = side[k]
                    event = -1.0 if (last[k] >= lower) & (now[k] < lower) else s
                    event = 1.0 if (last[k] <= upper) & (now[k] > upper) else event
                    turn[k] = row if event != s else turn[k]
                    side[k] = event
                if i >= widest - 1:
                    for k in range(m):
                        s = state[k]
                        event = -1.0 if now[k] < average[k] - band[k] else s
                        event = 1.0 if now[k] > average[k] + band[k] else event
                        before[k] = s
                        state[k] = event
            if at == widest - 1:
                for back in range(widest - 2, -1, -1):
                    u = rest[back]
                    after = rest[back + 1]
                    for k in range(m):
                        u[k] = max(after[k], u[k])
        for k in range(m):
            out[0, j + k] = side[k]
            out[1, j + k] = turn[k]
            out[2, j + k] = average[k]
            out[3, j + k] = band[k]
            out[4, j + k] = before[k]
            out[5, j + k] = state[k]


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
