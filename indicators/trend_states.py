"""Trend by states and lines: when a trend turned, and the lines it respects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Coded, Panel, Parameters, Values, difference, indicator, integer, moment, number, price, text
from .kernels import chains, pivots, recursions, rolling
from .kernels.bars import average_true_range, close_ema
from .roles import CLOUD, CLOUD_BASE, HISTOGRAM, LINE, LOWER, STRIP, UPPER, flips

if TYPE_CHECKING:
    from .contract import Bools, Floats, Ints


def _or_null(values: Floats) -> Floats:
    """NULL where a value is exactly 0, as readers of these columns expect."""
    return np.where(values == 0, np.nan, values)


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
)
def zero_lag_band_cross(bars: Panel, p: Parameters) -> Values:
    """Trend by crosses of the bands around a zero-lag average. Source: Ehlers' zero-lag EMA with ATR bands."""
    up, turn, average, band = chains.zero_lag_crosses(bars, p.period, p.width, p.widest)
    trend_band = np.where(up, average - band, average + band)
    opened, closed, volume = bars.open[-20:], bars.close[-20:], bars.volume[-20:]
    rising = rolling.tail_sum(np.where(closed > opened, volume, 0.0))
    falling = rolling.tail_sum(np.where(closed < opened, volume, 0.0))
    return Values(
        Coded.select([up], ["多"], "空"),
        bars.rows - turn,
        _or_null((bars.close[-1] - trend_band) / band),
        trend_band,
        np.take_along_axis(bars.time, turn[None], axis=0)[0],
        _or_null((rising - falling) / ((rising + falling) / 2)),
    )


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
)
def zero_lag_trend_state(bars: Panel, p: Parameters) -> Values:
    """Trend by closes beyond the bands around a zero-lag average. Source: Ehlers' zero-lag EMA with ATR bands."""
    before, state, average, band = chains.zero_lag_states(bars, p.period, p.width, p.widest)
    deviation = np.abs(bars.close[-1] - average) / band * 100
    return Values(
        Coded.select([(state == 1) & (before <= 0), (state == -1) & (before >= 0)], ["买入", "卖出"], "观望"),
        Coded.select([state == 1, state == -1], ["多头", "空头"], "震荡"),
        _or_null(deviation),
        average,
        band,
        _or_null(average + band),
        _or_null(average - band),
        state,
    )


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
)
def trend_cloud_reversal(bars: Panel, p: Parameters) -> Values:
    """Reversal patterns that agree with a slow trend."""
    slow, fast = recursions.smoothed(bars.close, p.slow, bars.first, rows=1)[-1], close_ema(bars, p.fast)[-1]
    up, down = fast > slow, fast < slow
    open_, close = bars.open, bars.close
    last_open, last_close, before_open, before_close = open_[-1], close[-1], open_[-2], close[-2]
    strike_buy = (close[-4:-1] < open_[-4:-1]).all(axis=0) & (last_close > before_open)
    strike_sell = (close[-4:-1] > open_[-4:-1]).all(axis=0) & (last_close < before_open)
    engulf_buy = (last_open <= before_close) & (last_open < before_open) & (last_close > before_open)
    engulf_sell = (last_open >= before_close) & (last_open > before_open) & (last_close < before_open)
    body, usual = np.abs(last_close - last_open), rolling.tail_mean(np.abs(close[-p.usual :] - open_[-p.usual :]))
    impulse = np.where(usual == 0, 0.0, body / usual * 100)
    drift = (last_close - slow) / slow * 100
    buy, sell = (strike_buy | engulf_buy) & up, (strike_sell | engulf_sell) & down
    return Values(
        Coded.select([buy, sell], ["买入", "卖出"], "观望"),
        Coded.select([up, down], ["多头", "空头"], "震荡"),
        np.select([buy | sell, up, down], [impulse, np.minimum(drift, 5.0), np.minimum(-drift, 5.0)], 0.0),
        Coded.select([strike_buy | strike_sell, engulf_buy | engulf_sell], ["三线打击", "吞没形态"], "无"),
        slow,
        fast,
    )


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
)
def smoothed_heikin_ashi(bars: Panel, p: Parameters) -> Values:
    """Heikin-Ashi candles between two smoothings, and their colour changes."""
    twice = chains.smoothed_heikin_ashi(bars, p.period, 5)
    open2, high2, low2, close2 = (twice[:, k] for k in range(4))
    green = open2 <= close2
    body, before = np.abs(open2[-1] - close2[-1]), np.abs(open2[-2] - close2[-2])
    slope = np.clip((close2[-1] - close2[-5] + 200) / 400, 0, 1)
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
)
def trend_line_rank(bars: Panel, p: Parameters) -> Values:
    """Lines through pivot highs (falling, resistance) or pivot lows (rising, support).

    A line is valid if no close of the scan lies beyond it. The scan pairs each bar with the close that lies as far from
    the series' beginning as the bar lies from its end: mirrored in time, as the readers' values have it.
    """
    resistance, above = _trend_line(bars, bars.high, pivots.newest_highs(bars.high, p.half, 3), falling=True)
    support, below = _trend_line(bars, bars.low, pivots.newest_lows(bars.low, p.half, 3), falling=False)
    line = np.where(above, resistance, support)
    close = bars.close[-1]
    distance = np.where((above | below) & (line != 0), (close - line) / line * 100, 0.0)
    return Values(Coded.select([above, below], ["空", "多"], "震荡"), distance, close)


def _trend_line(bars: Panel, extremes: Floats, rows: Ints, *, falling: bool) -> tuple[Floats, Bools]:
    """Height of the first valid line at the newest bar, and whether there is one; each of shape (series,).

    Pairs of the newest three pivots, at ``rows``, are tried in this order: newest with oldest, newest with middle,
    middle with oldest.
    """
    values = pivots.pick(extremes, rows)
    line, drawn = np.full(bars.series, np.nan), np.zeros(bars.series, dtype=np.bool_)
    for newer, older in ((0, 2), (0, 1), (1, 2)):
        inclined = values[newer] < values[older] if falling else values[newer] > values[older]
        tried = np.flatnonzero(inclined & (rows[older] >= 0) & ~drawn)
        if len(tried):
            step = (values[newer] - values[older])[tried] / (rows[newer] - rows[older])[tried]
            start = rows[older][tried], values[older][tried]
            height, valid = pivots.line(bars.close, bars.first, tried, *start, step, falling=falling)
            line[tried[valid]] = height[valid]
            drawn[tried[valid]] = True
    return line, drawn
