"""Slow twins of the kernels: plain loops over one series, written from the definitions, to be obviously right."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN = math.nan


def ema(values: Sequence[float], alpha: float) -> list[float]:
    """y = (1 - alpha) y + alpha x, from the first value on; a value equal to y leaves y as it is."""
    averages = [values[0]]
    for value in values[1:]:
        old = averages[-1]
        averages.append(old if value == old else (1 - alpha) * old + alpha * value)
    return averages


def wilder(values: Sequence[float], period: int) -> list[float]:
    """y = y (1 - 1/p) + x / p, from the first value on."""
    averages = [values[0]]
    for value in values[1:]:
        averages.append(averages[-1] * (1 - 1 / period) + value * (1 / period))
    return averages


def ema_over_gaps(values: Sequence[float], alpha: float, minimum: int) -> list[float]:
    """EMA that keeps y over NaN while the weight of the old value fades; NaN until ``minimum`` values were seen."""
    averages = []
    average, weight, seen = NAN, 1.0, 0
    for value in values:
        if seen:
            weight *= 1 - alpha
        if math.isfinite(value):
            if not seen:
                average = value
            elif value != average:
                average = (weight * average + alpha * value) / (weight + alpha)
            weight = 1.0
            seen += 1
        averages.append(average if seen >= minimum else NAN)
    return averages


def fading_sum(values: Sequence[float], fading: float) -> float:
    """Sum of all values times fading^age, exact but for the powers."""
    return math.fsum(value * fading**age for age, value in enumerate(reversed(values)))


def weighted_mean(values: Sequence[float], alpha: float) -> list[float]:
    """Mean of all values so far with weights (1 - alpha)^k, newest k = 0."""
    means = []
    for end in range(1, len(values) + 1):
        weights = [(1 - alpha) ** (end - 1 - i) for i in range(end)]
        means.append(math.fsum(w * v for w, v in zip(weights, values, strict=False)) / math.fsum(weights))
    return means


def smoothed(values: Sequence[float], period: int) -> list[float]:
    """The mean of the first p values, then (y (p - 1) + x) / p; NaN before there are p values."""
    averages: list[float] = []
    for row, value in enumerate(values):
        if row + 1 < period:
            averages.append(NAN)
        elif row + 1 == period:
            averages.append(math.fsum(values[:period]) / period)
        else:
            averages.append((averages[-1] * (period - 1) + value) / period)
    return averages


def held(events: Sequence[int]) -> list[int]:
    """The last event other than 0 so far."""
    states = []
    state = 0
    for event in events:
        if event != 0:
            state = event
        states.append(state)
    return states


class SuperTrend(NamedTuple):
    """Final upper band, final lower band and direction at the newest bar."""

    upper: float
    lower: float
    short: bool


def supertrend(upper: Sequence[float], lower: Sequence[float], close: Sequence[float]) -> SuperTrend:
    """The final bands FU and FL, the line ST and the direction, bar by bar."""
    fu, fl, st, short = upper[0], lower[0], 0.0, False
    for t in range(1, len(close)):
        new_fu = upper[t] if close[t - 1] > fu else min(upper[t], fu)
        new_fl = lower[t] if close[t - 1] < fl else max(lower[t], fl)
        if st == fu:
            long = close[t] > new_fu
            short = not long
        else:
            short = close[t] < new_fl
        fu, fl = new_fu, new_fl
        st = fu if short else fl
    return SuperTrend(fu, fl, short)


def highest(values: Sequence[float], width: int) -> list[float]:
    """Maximum of each complete window; NaN where there is one in it."""
    windows = [values[end - width : end] for end in range(width, len(values) + 1)]
    return [NAN if any(math.isnan(v) for v in window) else max(window) for window in windows]


def lowest(values: Sequence[float], width: int) -> list[float]:
    """Minimum of each complete window; NaN where there is one in it."""
    windows = [values[end - width : end] for end in range(width, len(values) + 1)]
    return [NAN if any(math.isnan(v) for v in window) else min(window) for window in windows]


def highest_so_far(values: Sequence[float], width: int) -> list[float]:
    """Maximum of the last ``width`` values but NaN, of fewer at the beginning."""
    windows = [[v for v in values[max(end - width, 0) : end] if not math.isnan(v)] for end in range(1, len(values) + 1)]
    return [max(window) if window else NAN for window in windows]


def moving_sum(values: Sequence[float], width: int) -> list[float]:
    """Sum of the last ``width`` values, of fewer at the beginning."""
    return [math.fsum(values[max(end - width, 0) : end]) for end in range(1, len(values) + 1)]


def moving_mean(values: Sequence[float], width: int) -> list[float]:
    """Mean of the last ``width`` values, of fewer at the beginning; of equal values exactly that value."""
    means = []
    for end in range(1, len(values) + 1):
        window = values[max(end - width, 0) : end]
        same = min(window) == max(window)
        means.append(window[-1] if same else math.fsum(window) / len(window))
    return means


def running_mean(values: Sequence[float], width: int) -> list[float]:
    """The mean in the very order of evaluation that rounding ties depend on: a compensated running sum."""
    means = []
    total = lost_adding = lost_removing = 0.0
    for row, value in enumerate(values):
        if row >= width:
            y = -values[row - width] - lost_removing
            t = total + y
            lost_removing = (t - total) - y
            total = t
        y = value - lost_adding
        t = total + y
        lost_adding = (t - total) - y
        total = t
        window = values[max(row + 1 - width, 0) : row + 1]
        means.append(value if min(window) == max(window) else total / len(window))
    return means


def mean(values: Sequence[float]) -> float:
    """Mean of the values but NaN, exactly theirs where they are equal; NaN of none."""
    there = [value for value in values if not math.isnan(value)]
    if not there:
        return NAN
    return there[0] if min(there) == max(there) else math.fsum(there) / len(there)


def std(values: Sequence[float], ddof: int) -> float:
    """Standard deviation of the values but NaN; NaN of too few."""
    there = [value for value in values if not math.isnan(value)]
    if len(there) <= ddof:
        return NAN
    middle = mean(there)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in there) / (len(there) - ddof))


def true_range(high: Sequence[float], low: Sequence[float], close: Sequence[float]) -> list[float]:
    """The largest of high - low and the distances of both from the previous close, of the first bar high - low."""
    later = [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1])) for t in range(1, len(close))
    ]
    return [high[0] - low[0], *later]


def changes(values: Sequence[float]) -> list[float]:
    """Difference to the value before, NaN of the first."""
    return [NAN, *(values[t] - values[t - 1] for t in range(1, len(values)))]


def pivots(values: Sequence[float], half: int, sign: int) -> list[bool]:
    """Whether a value equals the greatest (sign 1) or smallest (-1) of itself and ``half`` values on either side."""
    found = []
    for t in range(len(values)):
        window = [sign * v for v in values[max(t - half, 0) : t + half + 1]]
        found.append(t >= half and t + half < len(values) and sign * values[t] == max(window))
    return found


def newest(marked: Sequence[bool], count: int) -> list[int]:
    """Places of the last ``count`` marks, newest first, -1 where there are fewer."""
    places = [place for place, mark in enumerate(marked) if mark][::-1][:count]
    return places + [-1] * (count - len(places))


def rounded(value: float, decimals: int, significant: int | None = None) -> float:
    """The decimal of so many places nearest to the binary value; one below 1 keeps so many significant digits."""
    if not math.isfinite(value) or value == 0:
        return value
    with localcontext() as context:
        context.prec = 1100
        exact = Decimal(value)
        nearest = _nearest(exact, decimals)
        if significant is not None and abs(nearest) < 1:
            nearest = _nearest(exact, max(decimals, significant - 1 - exact.adjusted()))
    return math.copysign(float(nearest), value)


def _nearest(exact: Decimal, decimals: int) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)


class Bar(NamedTuple):
    """One row of a source: symbol, microseconds since the epoch, and the values in the order of the fields."""

    symbol: str | None
    time: int | None
    values: tuple[float | None, ...]


def newest_bars(rows: Sequence[Bar], needed: int, lookback: int) -> tuple[dict[str, list[Bar]], int, int]:
    """The bars of each symbol by time, newest last, and how many were skipped as unusable and as repeated.

    The first ``needed`` values of a usable bar are there and finite. Infinity in the others is NULL.
    """
    found: dict[str, dict[int, Bar]] = {}
    unusable = repeated = 0
    for symbol, time, values in rows:
        known = tuple(v if v is not None and math.isfinite(v) else None for v in values)
        if symbol is None or time is None or None in known[:needed]:
            unusable += 1
            continue
        bars = found.setdefault(symbol, {})
        bar = Bar(symbol, time, known)
        if time in bars:
            repeated += 1
            bar = max(bar, bars[time], key=lambda one: [math.inf if v is None else v for v in one.values])
        bars[time] = bar
    cut = {symbol: [bars[time] for time in sorted(bars)][-lookback:] for symbol, bars in found.items()}
    return cut, unusable, repeated
