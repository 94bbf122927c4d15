"""Trend by states and lines: when a trend turned, and the lines it respects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .contract import (
    NO_MOMENT,
    Coded,
    Panel,
    Parameters,
    Values,
    difference,
    indicator,
    integer,
    moment,
    number,
    price,
    text,
)
from .kernels import chains, pivots, recursions, rolling
from .kernels.bars import average_true_range, close_ema, close_ema_from_mean, true_range_from_mean
from .profiles import CORRECTED
from .roles import CLOUD, CLOUD_BASE, HISTOGRAM, LINE, LOWER, STRIP, UPPER, flips

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .contract import Bools, Floats, Ints

    #: Where a pattern buys, and where it sells; (series,) each.
    _Sides: TypeAlias = tuple[Bools, Bools]


def _or_null(values: Floats) -> Floats:
    """NULL where a value is exactly 0, as readers of these columns expect."""
    return np.where(values == 0, np.nan, values)


def _volume_bias(bars: Panel) -> Floats:
    """Rising less falling volume of the newest 20 bars relative to their mean, NaN without either; (series,)."""
    opened, closed, volume = bars.open[-20:], bars.close[-20:], bars.volume[-20:]
    rising = rolling.tail_sum(np.where(closed > opened, volume, 0.0))
    falling = rolling.tail_sum(np.where(closed < opened, volume, 0.0))
    return (rising - falling) / ((rising + falling) / 2)


def zero_lag_band_cross_by_bar(bars: Panel, p: Parameters) -> Values:
    """Each close is held against the band of its own bar; until the first cross there is no trend, all of it NULL.

    The averages begin with a mean, and a distance or bias of 0 is 0. Source: Ehlers and Way (2010) with bands of
    Wilder's ATR; the cross of a line is that of every charting package.
    """
    average, close = chains.zero_lag_from_mean(bars, p.period), bars.close
    band = p.width * rolling.highest_so_far(true_range_from_mean(bars, p.period), p.widest * p.period)
    upper, lower = average + band, average - band
    bars.note(average=average, band=band, upper=upper, lower=lower)
    events = np.zeros(close.shape, dtype=np.int64)
    events[1:] = np.select(
        [
            (close[:-1] <= upper[:-1]) & (close[1:] > upper[1:]),
            (close[:-1] >= lower[:-1]) & (close[1:] < lower[1:]),
        ],
        [1, -1],
        0,
    )
    state = recursions.held(events)
    turned = np.zeros(close.shape, dtype=np.bool_)
    turned[1:] = state[1:] != state[:-1]
    turn, now = pivots.newest(turned, 1)[0], state[-1]
    trend_band = np.select([now > 0, now < 0], [lower[-1], upper[-1]], np.nan)
    return Values(
        Coded.select([now == 0, now > 0], [None, "多"], "空"),
        np.where(turn < 0, np.nan, bars.rows - turn),
        (close[-1] - trend_band) / band[-1],
        trend_band,
        np.where(turn < 0, NO_MOMENT, np.take_along_axis(bars.time, turn[None], axis=0)[0]),
        _volume_bias(bars),
    )


def _bars_of_zero_lag(p: Parameters) -> int:
    """Bars from which the zero-lag average has two values: its lag, and the bars of its first mean."""
    bars: int = (p.period - 1) // 2 + p.period + 1
    return bars


@indicator(
    id="zero_lag_band_cross",
    title="Zero-lag band cross",
    family="trend",
    inputs=("open", "high", "low", "close", "volume"),
    columns=(
        text("trend", "side of the last band that the close crossed", {"多": "up", "空": "down"}),
        integer("bars_in_trend", "bars since the trend turned, all bars if it never did", role=LINE.on_request),
        number("strength", "distance from the trend band in widths of the band, NULL if 0", unit="ratio"),
        price("trend_band", "lower band of an up trend, else the upper band", role=flips("trend")),
        moment("turned_at", "bar in which the trend turned, the first bar if it never did"),
        number(
            "volume_bias", "rising less falling volume of 20 bars, -2 to 2, NULL if 0", unit="ratio", role=HISTOGRAM
        ),
    ),
    formula="EMA70(2 close - close 34 bars ago) ± 1.2 highest ATR70 of 210 bars; the trend is the side last crossed to",
    min_bars=lambda p: p.period,
    parameters={"period": 70, "width": 1.2, "widest": 3},
    shares={average_true_range: ("period",)},
    variants={CORRECTED: zero_lag_band_cross_by_bar},
    minima={CORRECTED: _bars_of_zero_lag},
)
def zero_lag_band_cross(bars: Panel, p: Parameters) -> Values:
    """Trend by crosses of the bands around a zero-lag average. Source: Ehlers' zero-lag EMA with ATR bands."""
    up, turn, average, band = chains.zero_lag_crosses(bars, p.period, p.width, p.widest)
    trend_band = np.where(up, average - band, average + band)
    bars.note(average=average, band=band)
    return Values(
        Coded.select([up], ["多"], "空"),
        bars.rows - turn,
        _or_null((bars.close[-1] - trend_band) / band),
        trend_band,
        np.take_along_axis(bars.time, turn[None], axis=0)[0],
        _or_null(_volume_bias(bars)),
    )


def _state_of_trend(
    close: Floats, before: Ints, state: Ints, average: Floats, band: Floats, shown: Callable[[Floats], Floats]
) -> Values:
    return Values(
        Coded.select([(state == 1) & (before <= 0), (state == -1) & (before >= 0)], ["买入", "卖出"], "观望"),
        Coded.select([state == 1, state == -1], ["多头", "空头"], "震荡"),
        shown(np.abs(close - average) / band * 100),
        average,
        band,
        shown(average + band),
        shown(average - band),
        state,
    )


def zero_lag_trend_state_from_mean(bars: Panel, p: Parameters) -> Values:
    """The averages begin with a mean, the band with a whole window of it; a distance or a band of 0 is 0.

    Source: Ehlers and Way (2010) with bands of Wilder's ATR.
    """
    window = p.widest * p.period
    average, close = chains.zero_lag_from_mean(bars, p.period)[window - 1 :], bars.close[window - 1 :]
    band = p.width * rolling.highest(true_range_from_mean(bars, p.period), window)
    state = recursions.held(np.select([close > average + band, close < average - band], [1, -1], 0))
    bars.note(average=average, band=band, state=state)
    return _state_of_trend(close[-1], state[-2], state[-1], average[-1], band[-1], lambda values: values)


@indicator(
    id="zero_lag_trend_state",
    title="Zero-lag trend state",
    family="trend",
    inputs=("high", "low", "close"),
    columns=(
        text(
            "signal",
            "buy or sell in the bar that changes the state, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait", "数据不足": "too few bars"},
        ),
        text("direction", "long, short or undecided", {"多头": "long", "空头": "short", "震荡": "undecided"}),
        number("strength", "distance from the average relative to the band, NULL if 0", unit="percent"),
        price("average", "zero-lag average"),
        difference("band", "width of the band", role=LINE.on_request),
        price("upper", "average plus the band, NULL if 0", role=UPPER),
        price("lower", "average less the band, NULL if 0", role=LOWER),
        integer(
            "state",
            "1 above the upper band last, -1 below the lower one, 0 neither yet",
            unit="state",
            role=LINE.on_request,
        ),
    ),
    formula="EMA70(2 close - close 34 bars ago) ± 1.2 highest ATR70 of 210 bars; the side last closed beyond",
    min_bars=lambda p: p.widest * p.period + 1,
    parameters={"period": 70, "width": 1.2, "widest": 3},
    shares={average_true_range: ("period",)},
    variants={CORRECTED: zero_lag_trend_state_from_mean},
    minima={CORRECTED: lambda p: (p.widest + 1) * p.period + 1},
)
def zero_lag_trend_state(bars: Panel, p: Parameters) -> Values:
    """Trend by closes beyond the bands around a zero-lag average. Source: Ehlers' zero-lag EMA with ATR bands."""
    before, state, average, band = chains.zero_lag_states(bars, p.period, p.width, p.widest)
    bars.note(average=average, band=band, state=state, state_before=before)
    return _state_of_trend(bars.close[-1], before, state, average, band, _or_null)


def _reversal(
    bars: Panel, p: Parameters, slow: Floats, fast: Floats, strikes: _Sides, engulfing: _Sides, least: float
) -> Values:
    """What patterns say that buy or sell; a drift is at least ``least``."""
    up, down = fast > slow, fast < slow
    open_, close = bars.open, bars.close
    body = np.abs(close[-1] - open_[-1])
    usual = rolling.tail_mean(np.abs(close[-p.usual :] - open_[-p.usual :]))
    impulse = np.where(usual == 0, 0.0, body / usual * 100)
    drift = (close[-1] - slow) / slow * 100
    bars.note(SMMA200=slow, EMA2=fast, body=body, usual_body=usual, drift=drift)
    buy, sell = (strikes[0] | engulfing[0]) & up, (strikes[1] | engulfing[1]) & down
    rise, fall = (np.maximum(np.minimum(side, 5.0), least) for side in (drift, -drift))
    return Values(
        Coded.select([buy, sell], ["买入", "卖出"], "观望"),
        Coded.select([up, down], ["多头", "空头"], "震荡"),
        np.select([buy | sell, up, down], [impulse, rise, fall], 0.0),
        Coded.select([strikes[0] | strikes[1], engulfing[0] | engulfing[1]], ["三线打击", "吞没形态"], "无"),
        slow,
        fast,
    )


def trend_cloud_reversal_by_the_book(bars: Panel, p: Parameters) -> Values:
    """A strike ends beyond the open of the first of three bars that go on falling (or rising).

    An engulfing body has the other colour than the one it covers. The drift is at least 0, the averages begin with a
    mean.

    Source: Nison (1991) for the engulfing pattern, Bulkowski (2008) for the three-line strike as a reversal.
    """
    slow = recursions.ema_from_mean(bars.close, p.slow, 1.0 / p.slow, bars.first, rows=1)[-1]
    open_, close = bars.open[-4:], bars.close[-4:]

    def pattern(sign: int) -> tuple[Bools, Bools]:
        body, steps = sign * (close - open_), sign * np.diff(close, axis=0)
        strike = (body[:3] < 0).all(axis=0) & (steps[:2] < 0).all(axis=0)
        strike &= (sign * (open_[3] - close[2]) <= 0) & (sign * (close[3] - open_[0]) > 0)
        below, above = sign * (close[2] - open_[3]), sign * (close[3] - open_[2])
        engulfs = (body[2] < 0) & (body[3] > 0) & (below >= 0) & (above >= 0) & (below + above > 0)
        return strike, engulfs

    (strike_buy, engulf_buy), (strike_sell, engulf_sell) = pattern(1), pattern(-1)
    strikes, engulfing = (strike_buy, strike_sell), (engulf_buy, engulf_sell)
    return _reversal(bars, p, slow, close_ema_from_mean(bars, p.fast)[-1], strikes, engulfing, 0.0)


@indicator(
    id="trend_cloud_reversal",
    title="Trend cloud reversal",
    family="trend",
    inputs=("open", "close"),
    columns=(
        text(
            "signal",
            "buy or sell on a reversal pattern with the trend, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait", "数据不足": "too few bars"},
        ),
        text("direction", "long, short or sideways", {"多头": "long", "空头": "short", "震荡": "sideways"}),
        number("strength", "body against the mean body, or drift from the slow average", unit="percent"),
        text(
            "pattern",
            "three-line strike, engulfing, or none",
            {"三线打击": "three-line strike", "吞没形态": "engulfing", "无": "none"},
        ),
        price("smma200", "smoothed moving average of 200 bars"),
        price("ema2", "EMA of 2 bars"),
    ),
    formula="EMA2 against SMMA200; three-line strike and engulfing in the newest bars",
    min_bars=lambda p: p.slow,
    parameters={"slow": 200, "fast": 2, "usual": 15},
    shares={close_ema: ("fast",)},
    variants={CORRECTED: trend_cloud_reversal_by_the_book},
)
def trend_cloud_reversal(bars: Panel, p: Parameters) -> Values:
    """Reversal patterns that agree with a slow trend."""
    slow, fast = recursions.smoothed(bars.close, p.slow, bars.first, rows=1)[-1], close_ema(bars, p.fast)[-1]
    open_, close = bars.open, bars.close
    last_open, last_close, before_open, before_close = open_[-1], close[-1], open_[-2], close[-2]
    strike_buy = (close[-4:-1] < open_[-4:-1]).all(axis=0) & (last_close > before_open)
    strike_sell = (close[-4:-1] > open_[-4:-1]).all(axis=0) & (last_close < before_open)
    engulf_buy = (last_open <= before_close) & (last_open < before_open) & (last_close > before_open)
    engulf_sell = (last_open >= before_close) & (last_open > before_open) & (last_close < before_open)
    return _reversal(bars, p, slow, fast, (strike_buy, strike_sell), (engulf_buy, engulf_sell), -np.inf)


def _candles_of_trend(twice: Floats, slope: Floats) -> Values:
    """What the newest Heikin-Ashi candles say, with a slope from 0 to 1."""
    open2, high2, low2, close2 = (twice[:, k] for k in range(4))
    green = open2 <= close2
    body, before = np.abs(open2[-1] - close2[-1]), np.abs(open2[-2] - close2[-2])
    growth = np.where(before > 0, body / before * 100, 0.0)
    return Values(
        Coded.select([green[-1] & ~green[-2], ~green[-1] & green[-2]], ["买入", "卖出"], "观望"),
        Coded.select([green[-1]], ["多头"], "空头"),
        np.minimum(growth + 40 * slope, 200.0),
        Coded.select([green[-1]], ["绿色"], "红色"),
        body,
        high2[-1] - low2[-1],
        open2[-1],
        close2[-1],
    )


def _note_candles(bars: Panel, twice: Floats) -> None:
    bars.note(**{f"ha_{name}": twice[:, place] for place, name in enumerate(("open", "high", "low", "close"))})


def heikin_ashi_of_any_price(bars: Panel, p: Parameters) -> Values:
    """The change of the smoothed close over four bars counts in average true ranges: four up are 1, four down 0.

    So it means the same at any price. The smoothings begin with a mean. Source: Valcu (2004) for the candles; the
    scale of the slope is a convention.
    """
    twice = chains.heikin_ashi_from_mean(bars, p.period, 5)
    _note_candles(bars, twice)
    atr = true_range_from_mean(bars, p.period, 1)[-1]
    rise = twice[-1, 3] - twice[-5, 3]
    slope = np.where(atr == 0, 0.5, np.clip((rise / (4 * atr) + 1) / 2, 0, 1))
    return _candles_of_trend(twice, slope)


@indicator(
    id="smoothed_heikin_ashi",
    title="Smoothed Heikin-Ashi",
    family="trend",
    inputs=("open", "high", "low", "close"),
    columns=(
        text(
            "signal",
            "buy or sell in the bar that changes colour, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait"},
        ),
        text("direction", "long or short", {"多头": "long", "空头": "short"}),
        number("strength", "body against the one before, and slope of the close", unit="score"),
        text(
            "colour",
            "green where the smoothed close is not below the smoothed open",
            {"绿色": "green", "红色": "red"},
            role=STRIP.on_request,
        ),
        difference("body", "distance of the smoothed open and close", role=LINE.on_request),
        difference("range", "smoothed high less smoothed low", role=LINE.on_request),
        price("ha_open", "smoothed open", role=CLOUD_BASE),
        price("ha_close", "smoothed close", role=CLOUD),
    ),
    formula="Heikin-Ashi bars of EMA10-smoothed prices, smoothed by EMA10 once more",
    min_bars=lambda p: 2 * p.period,
    parameters={"period": 10},
    variants={CORRECTED: heikin_ashi_of_any_price},
    minima={CORRECTED: lambda p: 2 * p.period + 3},
)
def smoothed_heikin_ashi(bars: Panel, p: Parameters) -> Values:
    """Heikin-Ashi candles between two smoothings, and their colour changes."""
    twice = chains.smoothed_heikin_ashi(bars, p.period, 5)
    _note_candles(bars, twice)
    close = twice[:, 3]
    return _candles_of_trend(twice, np.clip((close[-1] - close[-5] + 200) / 400, 0, 1))


def nearest_trend_line(bars: Panel, p: Parameters) -> Values:
    """Each close after the older pivot is held against the line at its own bar; of two lines the nearer one counts.

    A line that has fallen to 0 or below is none. Source: Edwards and Magee (1948); that the nearer line counts is a
    convention.
    """
    close = bars.close[-1]
    distances = []
    for extremes, newest, falling in (
        (bars.high, pivots.newest_highs, True),
        (bars.low, pivots.newest_lows, False),
    ):
        held = partial(pivots.held_line, bars.close, falling=falling)
        line, drawn = _trend_line(bars, extremes, newest(extremes, p.half, 3), held, falling=falling)
        distances.append(np.where(drawn & (line > 0), (close - line) / line * 100, np.nan))
    resistance, support = distances
    bars.note(resistance_distance=resistance, support_distance=support)
    down = ~np.isnan(resistance) & ~(np.abs(support) < np.abs(resistance))
    up = ~np.isnan(support) & ~down
    return Values(
        Coded.select([down, up], ["空", "多"], "震荡"), np.select([down, up], [resistance, support], 0.0), close
    )


@indicator(
    id="trend_line_rank",
    title="Trend lines",
    family="trend",
    inputs=("high", "low", "close"),
    columns=(
        text(
            "trend",
            "down below a resistance line, up above a support line, else sideways",
            {"多": "up", "空": "down", "震荡": "sideways"},
        ),
        number("distance", "close above the line", unit="percent"),
        price("price", "close of the bar"),
    ),
    formula="the first valid line through two of the last three pivots of 20 bars on either side",
    min_bars=lambda p: 2 * p.half + 1,
    parameters={"half": 20},
    variants={CORRECTED: nearest_trend_line},
)
def trend_line_rank(bars: Panel, p: Parameters) -> Values:
    """Lines through pivot highs (falling, resistance) or pivot lows (rising, support).

    A line is valid if no close of the scan lies beyond it. The scan pairs each bar with the close that lies as far from
    the series' beginning as the bar lies from its end: mirrored in time, as the readers' values have it.
    """
    highs, lows = pivots.newest_highs(bars.high, p.half, 3), pivots.newest_lows(bars.low, p.half, 3)
    resistance, above = _trend_line(
        bars, bars.high, highs, partial(pivots.line, bars.close, bars.first, falling=True), falling=True
    )
    support, below = _trend_line(
        bars, bars.low, lows, partial(pivots.line, bars.close, bars.first, falling=False), falling=False
    )
    line = np.where(above, resistance, support)
    bars.note(resistance=np.asarray(resistance), support=np.asarray(support))
    close = bars.close[-1]
    distance = np.where((above | below) & (line != 0), (close - line) / line * 100, 0.0)
    return Values(Coded.select([above, below], ["空", "多"], "震荡"), distance, close)


def _trend_line(
    bars: Panel,
    extremes: Floats,
    rows: Ints,
    drawn_through: Callable[[Ints, Ints, Floats, Floats], tuple[Floats, Bools]],
    *,
    falling: bool,
) -> tuple[Floats, Bools]:
    """Height of the first valid line at the newest bar, and whether there is one; each of shape (series,).

    ``drawn_through`` has the height of a line, and whether it is valid. Pairs of the newest three pivots, at ``rows``,
    are tried in this order: newest with oldest, newest with middle, middle with oldest.
    """
    values = pivots.pick(extremes, rows)
    line, drawn = np.full(bars.series, np.nan), np.zeros(bars.series, dtype=np.bool_)
    for newer, older in ((0, 2), (0, 1), (1, 2)):
        inclined = values[newer] < values[older] if falling else values[newer] > values[older]
        tried = np.flatnonzero(inclined & (rows[older] >= 0) & ~drawn)
        if len(tried):
            step = (values[newer] - values[older])[tried] / (rows[newer] - rows[older])[tried]
            height, valid = drawn_through(tried, rows[older][tried], values[older][tried], step)
            line[tried[valid]] = height[valid]
            drawn[tried[valid]] = True
    return line, drawn
