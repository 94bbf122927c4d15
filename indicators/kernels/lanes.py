"""The kernels over the windows of a series: names, arguments and results are those of the NumPy ones, to the last bit.

What a kernel does bar by bar is done once per bar here; what depends on where a window begins runs in ``loops``,
over neighbouring windows side by side. An argument ``first`` says nothing: a window begins with its first row. Where a
call goes beyond what the compiled loops cover, the NumPy kernel takes the windows as the series of a panel.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import talib

from . import recursions
from .candles import TAIL
from .dispatch import OVER_PANELS
from .loops import averages, gaps, profiles, summing, trends
from .rolling import tail_mean

if TYPE_CHECKING:
    from ..contract import Array, Bools, Floats, Ints
    from ..windows import Windows

#: Bars that the longest of the candlestick functions takes a sum over, the one that it adds before it removes another.
_SUMMED = 11
#: Fewest bars whose candlesticks are computed as one series.
_FEW = 64
#: Between these a number, and what remains of it by a division, is far from what no double can be.
_LEAST, _MOST = 2.0**-700, 2.0**900


def _body(windows: Any) -> Floats:
    """The series that some windows slide over, as compiled loops take it."""
    return np.ascontiguousarray(windows.body, dtype=np.float64)


def _marks(windows: Any) -> Bools:
    """The same of marks."""
    return windows.body


def _shape(windows: Any) -> tuple[int, int]:
    """Rows of a window, and how many windows."""
    return len(windows), windows.shape[-1]


def _moderate(values: Floats, fading: float = 1.0) -> bool:
    """Whether numbers, fading so far, are such that ``compiled.quotient`` of them is a division's."""
    sizes = np.abs(values[values != 0])
    return bool(
        np.isfinite(sizes).all() and sizes.min(initial=1.0) * fading > _LEAST and sizes.max(initial=1.0) < _MOST
    )


def ema(values: Floats, alpha: float | Floats, first: Ints, rows: int | None = None) -> Floats:
    """``recursions.ema``."""
    n, w = _shape(values)
    body = _body(values)
    kept = n if rows is None else min(rows, n)
    variants = np.broadcast_shapes(body.shape[:-1], np.shape(alpha)[:-1])
    found = np.empty((kept, *variants, w))
    if body.ndim == 1:
        alphas = np.asarray(alpha, dtype=np.float64).reshape(-1)
        averages.emas(body, body[:w], alphas, n, w, kept, found.reshape(kept, len(alphas), w))
        return found
    alphas = np.broadcast_to(np.asarray(alpha, dtype=np.float64).reshape(np.shape(alpha)[:-1]), variants)
    bodies = np.broadcast_to(body, (*variants, body.shape[-1]))
    for place in np.ndindex(*variants):
        part, one = np.ascontiguousarray(bodies[place]), np.empty((kept, 1, w))
        averages.emas(part, part[:w], alphas[place].reshape(1), n, w, kept, one)
        found[(slice(None), *place)] = one[:, 0]
    return found


def fading_sums(values: Floats, fading: Floats) -> Floats:
    """``recursions.fading_sums``."""
    n, w = _shape(values)
    found = np.empty((len(fading), w))
    averages.fading_sums(_body(values), np.ascontiguousarray(fading), n, w, found)
    return found


def weighted_mean(values: Floats, alpha: float | Floats, first: Ints, rows: int | None = None) -> Floats:
    """``recursions.weighted_mean``."""
    n, w = _shape(values)
    body = _body(values)
    if np.ndim(alpha) or rows != 1 or values.ndim > 2 or not _moderate(body, (1.0 - float(alpha)) ** n):
        return OVER_PANELS["weighted_mean"](values.view(np.ndarray), alpha, first, rows)
    found = np.empty((1, w))
    sums = _weights((1.0 - float(alpha),), n)
    averages.weighted_mean(body, sums, n, w, found[0])
    return found


def smoothed(values: Floats, period: int, first: Ints, rows: int | None = None) -> Floats:
    """``recursions.smoothed``."""
    n, w = _shape(values)
    body = _body(values)
    if rows != 1 or period > n or not (_moderate(body) and body.min() > 0):
        return OVER_PANELS["smoothed"](values.view(np.ndarray), period, first, rows)
    found = np.empty((1, w))
    averages.smoothed(body, period, n, w, found[0])
    return found


def moving_sum(values: Floats, width: int, first: Ints, rows: int | None = None) -> tuple[Floats, Floats]:
    """``rolling.moving_sum``."""
    n, w = _shape(values)
    if rows is None or rows + width - 1 > n:
        return OVER_PANELS["moving_sum"](values.view(np.ndarray), width, first, rows)
    body = _body(values)
    sums = np.empty((*body.shape[:-1], rows, w))
    for place in np.ndindex(*body.shape[:-1]):
        summing.compensated_sums(body[place], width, n, w, rows, sums[place])
    sums = np.moveaxis(sums, -2, 0)
    recent: Any = values[n - rows - width + 1 :]
    highest, lowest = recent, recent
    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        highest, lowest = np.fmax(highest[:-step], highest[step:]), np.fmin(lowest[:-step], lowest[step:])
        covered += step
    constant, newest = (highest == lowest).plain, recent[width - 1 :].plain
    return np.where(constant, newest * width, sums), np.where(constant, newest, sums / width)


def tail_sum(values: Floats) -> Floats:
    """``rolling.tail_sum``."""
    n, w = _shape(values)
    body = _body(values)
    missing = np.isnan(body)
    if missing.any():
        body = np.where(missing, 0.0, body)
    found = np.empty((*body.shape[:-1], w))
    for place in np.ndindex(*body.shape[:-1]):
        summing.sums(body[place], n, w, found[place])
    return found


def tail_mean_std(values: Floats, ddof: int = 1) -> tuple[Floats, Floats]:
    """``rolling.tail_mean_std``."""
    n, w = _shape(values)
    count = (~np.isnan(values)).sum(axis=0)
    mean = tail_mean(values)
    squared = np.empty(w)
    summing.squares(_body(values), mean, n, w, squared)
    return mean, np.sqrt(squared / np.where(count > ddof, count - ddof, np.nan))


def tail_products(values: Floats, others: Floats) -> tuple[Floats, Floats]:
    """``rolling.tail_products``."""
    n, w = _shape(values)
    squared, crossed = np.empty(w), np.empty(w)
    summing.products(_body(values), tail_mean(values), _body(others), tail_mean(others), n, w, squared, crossed)
    return squared, crossed


def running_sums(values: Floats, rows: Ints) -> Floats:
    """``rolling.running_sums``."""
    at = rows[:, 0]
    if (rows != at[:, None]).any():
        return OVER_PANELS["running_sums"](values.view(np.ndarray), rows)
    n, w = _shape(values)
    order = np.argsort(at, kind="stable")
    sums = np.zeros((len(at), w))
    begun = order[at[order] >= 0]
    part = np.empty((len(begun), w))
    summing.running_sums(_body(values), n, w, at[begun], part)
    sums[begun] = part
    return sums


def oldest(values: Floats, count: int, first: Ints) -> Floats:
    """``rolling.oldest``."""
    if count > len(values):
        return OVER_PANELS["oldest"](values.view(np.ndarray), count, first)
    return values[:count]


def newest_highs(values: Floats, half: int, count: int) -> Ints:
    """``pivots.newest_highs``."""
    return _newest_pivots(values, half, count, np.maximum)


def newest_lows(values: Floats, half: int, count: int) -> Ints:
    """``pivots.newest_lows``."""
    return _newest_pivots(values, half, count, np.minimum)


def _newest_pivots(values: Floats, half: int, count: int, larger: np.ufunc) -> Ints:
    width = 2 * half + 1
    if len(values) < width:
        return np.full((count, values.shape[-1]), -1)
    extreme, covered = values, 1
    while covered < width:
        step = min(covered, width - covered)
        extreme, covered = larger(extreme[:-step], extreme[step:]), covered + step
    rows = newest(values[half:-half] == extreme, count)
    return np.where(rows < 0, -1, rows + half)


def newest(marked: Bools, count: int) -> Ints:
    """``pivots.newest``: which bar was marked last is known for every bar."""
    n, w = _shape(marked)
    marks: Any = marked
    bars = np.arange(marks.body.shape[-1])
    last = np.maximum.accumulate(np.where(marks.body, bars, -1))
    # Of every bar, the last marked one before it.
    before = np.concatenate([[-1], last[:-1]])
    rows = np.empty((count, w), dtype=np.int64)
    place = last[n - 1 :]
    for k in range(count):
        rows[k] = np.where(place < bars[:w], -1, place - bars[:w])
        place = np.where(place < 0, -1, before[place])
    return rows


def oldest_marked(marked: Bools) -> Ints:
    """``pivots.oldest_marked``."""
    n, w = _shape(marked)
    rows = _first(_marks(marked), n, w)
    return np.where(rows == n, -1, rows)


def line(
    closes: Floats, first: Ints, series: Ints, row: Ints, value: Floats, step: Floats, *, falling: bool
) -> tuple[Floats, Bools]:
    """``pivots.line``."""
    height, valid = np.empty(len(series)), np.empty(len(series), dtype=np.bool_)
    trends.lines(_body(closes), len(closes), series, row, value, step, falling, height, valid)
    return height, valid


def convergence(values: Floats, fast: int, slow: int, signal: int, first: Ints) -> tuple[Floats, Floats]:
    """``chains.convergence``."""
    n, w = _shape(values)
    dif, dea = np.empty((2, w)), np.empty((2, w))
    alphas = [recursions.span(float(period)) for period in (fast, slow, signal)]
    averages.convergence(_body(values), *alphas, n, w, dif, dea)
    return dif, dea


def smoothed_twice(values: Floats, alpha: float, minimum: int, first: Ints) -> tuple[Floats, Floats]:
    """``chains.smoothed_twice``."""
    n, w = _shape(values)
    body = _body(values)
    gaps = np.concatenate([[0], np.cumsum(~np.isfinite(body))])
    gapped = gaps[n:] > gaps[:w]
    once, twice = np.empty((2, w)), np.empty((2, w))
    averages.smoothed_twice(body, alpha, minimum, gapped, n, w, once, twice)
    return once, twice


def rises_and_falls(values: Floats, alpha: float, first: Ints) -> tuple[Floats, Floats]:
    """``chains.rises_and_falls``."""
    n, w = _shape(values)
    change = np.diff(_body(values), prepend=0.0)
    found = []
    for moves in (np.where(change > 0, change, 0.0), np.where(change < 0, -change, 0.0)):
        newest_ = np.empty((1, 1, w))
        averages.emas(moves, np.zeros(w), np.array([alpha]), n, w, 1, newest_)
        found.append(newest_[0, 0])
    return found[0], found[1]


def mean_strength(values: Floats, fading: Floats) -> Floats:
    """``chains.mean_strength``."""
    n, w = _shape(values)
    change = np.diff(_body(values))
    rises, falls = np.where(change > 0, change, 0.0), np.where(change < 0, -change, 0.0)
    gain, loss, found = np.empty((len(fading), w)), np.empty((len(fading), w)), np.empty(w)
    for moves, sums in ((rises, gain), (falls, loss)):
        averages.fading_sums(moves, np.ascontiguousarray(fading), n - 1, w, sums)
    averages.mean_strength(gain, loss, found)
    return found


@cache
def _weights(fading: tuple[float, ...], count: int) -> Floats:
    """``recursions.weight_sums``, shape (count, fadings)."""
    return np.ascontiguousarray(recursions.weight_sums(np.array(fading), count).T)


def weighted_rises_and_falls(
    values: Floats, periods: Floats, place: int, tail: int, first: Ints
) -> tuple[Floats, Floats, Ints]:
    """``chains.weighted_rises_and_falls``."""
    n, w = _shape(values)
    change = np.diff(_body(values))
    if not _moderate(change, float((1.0 - 1 / periods).min()) ** n):
        return OVER_PANELS["weighted_rises_and_falls"](values.view(np.ndarray), periods, place, tail, first)
    sums = _weights(tuple((1.0 - 1 / periods).tolist()), n - 1)
    tail = min(tail, n - 1)
    means, ratios = np.empty((len(periods), 2, w)), np.empty((tail, w))
    known = np.empty(w, dtype=np.int64)
    moves = np.maximum(change, 0), np.maximum(-change, 0)
    averages.weighted_rises_and_falls(
        *moves, sums, place, int(periods[place]) - 1, n - 1, w, tail, means, ratios, known
    )
    return means, ratios, known


def _ranges(bars: Windows) -> tuple[Floats, Floats]:
    """True range by bar, and the range of each window's first bar, which has no bar before it."""
    ranges = bars.shared(("ranges",), lambda: _true_ranges(bars))
    return ranges, np.ascontiguousarray((bars.high - bars.low)[0])


def _true_ranges(bars: Windows) -> Floats:
    high, low, close = (_body(bars.fields[name]) for name in ("high", "low", "close"))
    widest = high - low
    np.fmax(widest[1:], np.abs(high[1:] - close[:-1]), out=widest[1:])
    np.fmax(widest[1:], np.abs(low[1:] - close[:-1]), out=widest[1:])
    return widest


def average_true_range(bars: Windows, period: int, rows: int | None = None) -> Floats:
    """``bars.average_true_range``."""
    n, w = bars.rows, bars.series
    kept = n if rows is None else min(rows, n)

    def compute() -> Floats:
        found = np.empty((kept, 1, w))
        ranges, own = _ranges(bars)
        averages.emas(ranges, own, 1 / np.array([period], dtype=np.float64), n, w, kept, found)
        return found[:, 0]

    return bars.shared(("average_true_range", period, kept), compute)


def usual_true_range(bars: Windows, period: int, rows: int) -> tuple[Floats, Floats]:
    """``chains.usual_true_range``."""
    ranges = average_true_range(bars, period, rows)
    usual = np.empty(bars.series)
    summing.medians(ranges, usual)
    return ranges[-1], usual


def range_of_average_true_range(bars: Windows, alpha: float) -> tuple[Floats, Floats, Floats]:
    """``chains.range_of_average_true_range``."""
    low, high, now = (np.empty(bars.series) for _ in range(3))
    averages.range_of_ema(*_ranges(bars), alpha, bars.rows, bars.series, low, high, now)
    return low, high, now


def supertrend(bars: Windows, period: int, multiplier: float) -> tuple[Floats, Floats, Bools]:
    """``chains.supertrend``."""
    w = bars.series
    upper, lower, short = np.empty(w), np.empty(w), np.empty(w, dtype=np.bool_)
    prices = (_body(bars.fields[name]) for name in ("high", "low", "close"))
    trends.supertrend(*prices, *_ranges(bars), 1 / period, multiplier, bars.rows, w, upper, lower, short)
    return upper, lower, short


def directional_movement(bars: Windows, period: int) -> tuple[Floats, Floats, Floats]:
    """``chains.directional_movement``."""
    up, down = np.diff(_body(bars.high), prepend=0.0), -np.diff(_body(bars.low), prepend=0.0)
    plus = np.where((up > down) & (up > 0), up, 0.0)
    minus = np.where((down > up) & (down > 0), down, 0.0)
    adx, plus_di, minus_di = (np.empty(bars.series) for _ in range(3))
    trends.directional_movement(
        _ranges(bars)[0], plus, minus, 1.0 / period, bars.rows, bars.series, adx, plus_di, minus_di
    )
    return adx, plus_di, minus_di


def smoothed_heikin_ashi(bars: Windows, period: int, rows: int) -> Floats:
    """``chains.smoothed_heikin_ashi``."""
    found = np.empty((rows, 4, bars.series))
    prices = (_body(bars.fields[name]) for name in ("open", "high", "low", "close"))
    trends.smoothed_heikin_ashi(*prices, recursions.span(float(period)), bars.rows, bars.series, rows, found)
    return found


def zero_lag_crosses(bars: Windows, period: int, width: float, widest: int) -> tuple[Bools, Ints, Floats, Floats]:
    """``chains.zero_lag_crosses``."""
    side, turn, average, band, _, _ = _zero_lag(bars, period, width, widest)
    return side == 1, turn.astype(np.int64), average, band


def zero_lag_states(bars: Windows, period: int, width: float, widest: int) -> tuple[Ints, Ints, Floats, Floats]:
    """``chains.zero_lag_states``."""
    _, _, average, band, before, state = _zero_lag(bars, period, width, widest)
    return before.astype(np.int64), state.astype(np.int64), average, band


def _zero_lag(bars: Windows, period: int, width: float, widest: int) -> Floats:
    def compute() -> Floats:
        lag = (period - 1) // 2
        close, ahead = _body(bars.close), np.zeros(bars.rows + bars.series - 1)
        ahead[lag:] = close[lag:] + (close[lag:] - close[: len(close) - lag])
        found = np.empty((6, bars.series))
        alphas = recursions.span(float(period)), 1 / float(period)
        trends.zero_lag(
            ahead, *_ranges(bars), close, bars.rows, lag, *alphas, widest * period, width, bars.series, found
        )
        return found

    return bars.shared(("zero_lag", period, width, widest), compute)


def volume_profile(
    prices: Floats, volumes: Floats, low: Floats, high: Floats, bins: int, wanted: float
) -> tuple[Floats, Ints, Ints, Ints, Floats]:
    """``profiles.volume_profile``."""
    n, w = _shape(prices)
    counts, places, covered = np.empty((w, bins)), np.empty((3, w), dtype=np.int64), np.empty(w)
    room = np.empty(n + w - 1, dtype=np.int64)
    by_bar, ranges = (_body(prices), _body(volumes)), (low, high - low)
    profiles.volume_profile(*by_bar, *ranges, tail_sum(volumes), bins, wanted, n, w, room, counts, places, covered)
    peak, first, last = places
    return counts.T, peak, first, last, covered


def relative_changes(values: Floats) -> tuple[Floats, Floats, Ints]:
    """``gaps.relative_changes``."""
    n, w = _shape(values)
    body = _body(values)
    earlier = _earlier(body)
    mean, squared, count = (np.empty(w) for _ in range(3))
    gaps.mean_std((body - earlier) / earlier, _first_known(body, n, w), n, w, mean, squared, count)
    return mean, np.sqrt(squared / np.where(count > 0, count, np.nan)), count.astype(np.int64)


def _earlier(body: Floats) -> Floats:
    """The last value before each bar that is not NaN."""
    known = np.maximum.accumulate(np.where(np.isnan(body), -1, np.arange(len(body))))
    place = np.concatenate([[-1], known[:-1]])
    return np.where(place < 0, np.nan, body[place])


def _first(marked: Bools, n: int, w: int) -> Ints:
    """Row of the first bar of each window that is marked, n where none is."""
    bars = np.arange(len(marked))
    place = np.minimum.accumulate(np.where(marked, bars, len(marked))[::-1])[::-1]
    return np.minimum(place[:w] - bars[:w], n)


def _first_known(body: Floats, n: int, w: int) -> Ints:
    """Row of the first value of each window that is not NaN, its last row where all are."""
    return np.minimum(_first(~np.isnan(body), n, w), n - 1)


def count_up_to(values: Floats, limit: Floats) -> Ints:
    """``gaps.count_up_to``."""
    n, w = _shape(values)
    found = np.empty(w, dtype=np.int64)
    gaps.count_up_to(_body(values), np.ascontiguousarray(limit), n, w, found)
    return found


def products_with_places(values: Floats) -> Floats:
    """``gaps.products_with_places``."""
    n, w = _shape(values)
    found = np.empty(w)
    gaps.products_with_places(_body(values), n, w, found)
    return found


def streak(signs: Floats | Ints, here: Bools) -> Floats:
    """``gaps.streak``."""
    n, w = _shape(signs)
    return _streak(_body(signs), _marks(here), np.arange(w), n, w)


def streak_of_changes(values: Floats) -> Floats:
    """``gaps.streak_of_changes``: of a window the first value has none before it."""
    n, w = _shape(values)
    body = _body(values)
    signs = np.sign(body - _earlier(body))
    return _streak(signs, ~np.isnan(signs), np.arange(w) + _first_known(body, n, w) + 1, n, w)


def _streak(signs: Floats, here: Bools, first: Ints, n: int, w: int) -> Floats:
    """Of signs and whether they count, by bar, from the first bar of each window that counts."""
    bars = np.arange(len(signs))

    def last(marked: Bools) -> Ints:
        return np.maximum.accumulate(np.where(marked, bars, -1))[n - 1 :]

    newest_ = last(here & (signs != 0))
    direction = np.where(newest_ < first, 0.0, signs[newest_])
    stop = np.where(direction > 0, last(here & (signs < 0)), last(here & (signs > 0)))
    stop = np.where((direction == 0) | (stop < first), first - 1, stop)
    counts = np.concatenate([[0], np.cumsum(here)])
    return direction * (counts[n:] - counts[stop + 1])


def candlesticks(bars: Windows, functions: tuple[str, ...]) -> Array:
    """``candles.candlesticks``: each function once over all bars.

    TA-Lib keeps running sums of parts of bars, whose rounding would depend on where a series begins. But prices are
    multiples of the last digit of the lowest of them, and so are the parts and their sums; as long as the bars in a sum
    together span less than the power of two above that price, every sum is exact. Stretches where they span more are
    halved until they do not, and what is left goes window by window.
    """
    n, w = bars.rows, bars.series
    if n < TAIL:
        return np.zeros((len(functions), w), dtype=np.int32)
    prices = [_body(bars.fields[name]) for name in ("open", "high", "low", "close")]
    highest, lowest = np.maximum.reduce(prices), np.minimum.reduce(prices)
    # Not of a running sum, which keeps what large bars left in it.
    spanned = np.convolve(highest - lowest, np.ones(_SUMMED))[: n + w - 1]
    found = np.zeros((len(functions), n + w - 1), dtype=np.int32)
    stretches = [(n - 1, n + w - 1)]
    while stretches:
        start, stop = stretches.pop()
        begin = start + 1 - TAIL
        least = lowest[begin:stop].min()
        room = np.ldexp(1.0, np.frexp(least)[1]) if least > 0 else 0.0
        if spanned[begin:stop].max() * 1.001 < room:
            for place, name in enumerate(functions):
                part = getattr(talib, name)(*(price[begin:stop] for price in prices))
                found[place, start:stop] = part[TAIL - 1 :]
        elif stop - start > _FEW:
            middle = (start + stop) // 2
            stretches += [(start, middle), (middle, stop)]
        else:
            few = bars.select(range(start + 1 - n, stop + 1 - n))
            found[:, start:stop] = OVER_PANELS["candlesticks"](few, functions)
    return found[:, n - 1 :]
