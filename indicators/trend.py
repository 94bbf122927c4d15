"""Trend by averages and channels: which way a series goes, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy import strings

from .contract import Panel, Values, indicator, number, price, text
from .kernels import recursions, rolling
from .kernels.bars import (
    RIBBON_PERIODS,
    average_true_range,
    changes,
    close_ema,
    true_range,
    turnover,
)

if TYPE_CHECKING:
    from .contract import Floats


@indicator(
    id="macd",
    table="MACD柱状扫描器.py",
    title="MACD",
    family="trend",
    mode="incremental",
    lookback=50,
    min_bars=35,
    inputs=("close", "quote_volume"),
    columns=(
        text("信号概述", "signal", "cross of DIF and DEA in this bar, or that the trend goes on"),
        price("MACD", "macd", "DIF, the fast EMA less the slow one", rounded="exact"),
        price("MACD信号线", "signal_line", "DEA, the EMA of DIF", rounded="exact"),
        price("MACD柱状图", "histogram", "twice DIF less DEA", rounded="exact"),
        price("DIF", "dif", "the same as macd", rounded="exact"),
        price("DEA", "dea", "the same as signal_line", rounded="exact"),
        number("成交额", "turnover", "turnover of the bar", unit="quote"),
        price("当前价格", "price", "close of the bar"),
    ),
    formula="DIF = EMA12(close) - EMA26(close); DEA = EMA9(DIF); histogram = 2 (DIF - DEA)",
)
def macd(bars: Panel) -> Values:
    """Moving average convergence/divergence with its crosses. Source: Appel (1979), doubled as in Chinese charts."""
    averages = recursions.ema(bars.close, recursions.span(np.array([12.0, 26.0])[:, None]), bars.first)
    dif = averages[:, 0] - averages[:, 1]
    dea = recursions.ema(dif, recursions.span(9), bars.first)
    histogram = 2 * (dif[-2:] - dea[-2:])
    # The histogram crosses zero exactly where the lines cross, save where the difference rounds to zero.
    zero = np.select(
        [(histogram[0] <= 0) & (histogram[1] > 0), (histogram[0] >= 0) & (histogram[1] < 0)],
        ["零轴上穿", "零轴下破"],
        "",
    )
    suffix = np.where(zero == "", "", strings.add("/", zero))
    signal = np.select(
        [(dif[-2] <= dea[-2]) & (dif[-1] > dea[-1]), (dif[-2] >= dea[-2]) & (dif[-1] < dea[-1]), zero != ""],
        [strings.add("金叉", suffix), strings.add("死叉", suffix), zero],
        "延续",
    )
    return Values(signal, dif[-1], dea[-1], histogram[1], dif[-1], dea[-1], turnover(bars), bars.close[-1])


@indicator(
    id="supertrend",
    table="SuperTrend.py",
    title="SuperTrend",
    family="trend",
    mode="batch",
    lookback=60,
    min_bars=11,
    inputs=("high", "low", "close"),
    columns=(
        price("SuperTrend", "supertrend", "the band that the trend follows"),
        text("方向", "direction", "long or short"),
        price("上轨", "upper", "final upper band"),
        price("下轨", "lower", "final lower band"),
    ),
    formula="(high + low) / 2 ± 3 ATR10, each band held until a close breaks it",
)
def supertrend(bars: Panel) -> Values:
    """SuperTrend of period 10 and multiplier 3 over Wilder's average true range."""
    middle = (bars.high + bars.low) / 2
    reach = 3 * average_true_range(bars, 10)
    upper, lower, short = recursions.supertrend(middle + reach, middle - reach, bars.close, bars.first)
    return Values(np.where(short, upper, lower), np.where(short, "空", "多"), upper, lower)


@indicator(
    id="ema_gc",
    table="G，C点扫描器.py",
    title="EMA alignment",
    family="trend",
    mode="incremental",
    lookback=120,
    min_bars=100,
    inputs=("close",),
    columns=(
        price("EMA7", "ema7", "EMA of 7 bars", rounded="exact"),
        price("EMA25", "ema25", "EMA of 25 bars", rounded="exact"),
        price("EMA99", "ema99", "EMA of 99 bars", rounded="exact"),
        price("价格", "price", "close of the bar"),
        text("趋势方向", "trend", "how the three averages and the close are ordered"),
        number("带宽评分", "width_score", "spread of the averages, 0 to 100", unit="score", decimals=2),
    ),
    formula="EMA7, EMA25, EMA99 of the close; score = 100 (1 - exp(-(max - min) / |close| / 0.03))",
)
def ema_gc(bars: Panel) -> Values:
    """Three EMAs, their order, and how far they spread."""
    fast, middle, slow = (close_ema(bars, period)[-1] for period in (7, 25, 99))
    close = bars.close[-1]
    trend = np.select(
        [
            (fast > middle) & (middle > slow) & (close >= fast),
            (fast > middle) & (middle > slow),
            (fast < middle) & (middle < slow) & (close <= fast),
            (fast < middle) & (middle < slow),
            close > slow,
            close < slow,
        ],
        ["多头排列", "偏多", "空头排列", "偏空", "偏多", "偏空"],
        "震荡",
    )
    spread = np.maximum(np.maximum(fast, middle), slow) - np.minimum(np.minimum(fast, middle), slow)
    score = np.clip(100 * (1 - np.exp(-spread / np.abs(close) / 0.03)), 0, 100)
    return Values(fast, middle, slow, close, trend, np.where(close == 0, 0.0, score))


@indicator(
    id="ema_ribbon",
    table="量能信号扫描器.py",
    title="EMA ribbon",
    family="trend",
    mode="batch",
    lookback=200,
    min_bars=100,
    inputs=("close",),
    columns=(
        text("信号", "signal", "buy or sell where most averages agree, else wait"),
        text("方向", "direction", "long or short"),
        number(
            "强度", "strength", "share of agreeing averages x 10, or distance from EMA100 x 5", unit="score", decimals=3
        ),
        number("多头比例", "bullish_fraction", "averages above EMA100 and rising", unit="fraction", decimals=2),
        number("空头比例", "bearish_fraction", "averages below EMA100 and falling", unit="fraction", decimals=2),
        price("MA100", "ema100", "EMA of 100 bars", rounded="scaled"),
    ),
    formula="of 18 EMAs from 5 to 100 bars, how many lie above EMA100 and rise, and how many below it and fall",
)
def ema_ribbon(bars: Panel) -> Values:
    """Eighteen EMAs against the slowest of them; a signal where 13 or more agree."""
    before, now = np.stack([close_ema(bars, period) for period in RIBBON_PERIODS], axis=1)
    slowest, close = now[-1], bars.close[-1]
    bullish = ((now > slowest) & (now - before > 0)).sum(axis=0) / len(RIBBON_PERIODS)
    bearish = ((now < slowest) & (now - before < 0)).sum(axis=0) / len(RIBBON_PERIODS)
    buy, sell = bullish >= 0.7, bearish >= 0.7
    drift = np.abs((close - slowest) / slowest) * 5
    return Values(
        np.select([buy, sell], ["买入", "卖出"], "观望"),
        np.where(buy | ~sell & (close > slowest), "多头", "空头"),
        np.select([buy, sell], [bullish * 10, bearish * 10], drift),
        bullish,
        bearish,
        slowest,
    )


@indicator(
    id="adx",
    table="ADX.py",
    title="Average directional index",
    family="trend",
    mode="batch",
    lookback=70,
    min_bars=28,
    inputs=("high", "low", "close"),
    columns=(
        number("ADX", "adx", "strength of the trend, 0 to 100", unit="score"),
        number("正向DI", "plus_di", "upward movement relative to the true range", unit="percent"),
        number("负向DI", "minus_di", "downward movement relative to the true range", unit="percent"),
    ),
    formula="DI = 100 smoothed DM / smoothed TR; ADX = smoothed 100 |DI+ - DI-| / (DI+ + DI-); Wilder, 14",
)
def adx(bars: Panel) -> Values:
    """Directional movement of 14 bars. Source: Wilder (1978), all smoothings beginning with 0 at the first bar."""
    up, down = changes(bars.high), -changes(bars.low)
    ranges = np.where(np.isnan(up), 0.0, true_range(bars))
    plus_move = np.where((up > down) & (up > 0), up, 0.0)
    minus_move = np.where((down > up) & (down > 0), down, 0.0)
    # One recursion for all three.
    moves = recursions.wilder(np.stack([ranges, plus_move, minus_move], axis=1), 14, bars.first)
    span, plus, minus = moves[:, 0], moves[:, 1], moves[:, 2]
    plus_di, minus_di = np.where(span > 0, 100 * plus / span, 0.0), np.where(span > 0, 100 * minus / span, 0.0)
    both = plus_di + minus_di
    spread = np.where(both > 0, 100 * np.abs(plus_di - minus_di) / both, 0.0)
    return Values(recursions.ema(spread, 1 / 14, bars.first, rows=1)[-1], plus_di[-1], minus_di[-1])


@indicator(
    id="ichimoku",
    table="Ichimoku.py",
    title="Ichimoku cloud",
    family="trend",
    mode="batch",
    lookback=120,
    min_bars=26,
    inputs=("high", "low", "close"),
    columns=(
        price("转换线", "conversion", "middle of the 9-bar range"),
        price("基准线", "base", "middle of the 26-bar range"),
        price("先行带A", "span_a", "mean of conversion and base"),
        price("先行带B", "span_b", "middle of the 52-bar range, 0 where there are fewer bars"),
        price("迟行带", "lagging", "close of the bar"),
        price("当前价格", "price", "close of the bar"),
        text("信号", "signal", "BUY above the cloud, SELL below it, with the lines in order"),
        text("方向", "direction", "long, short or sideways"),
        number(
            "强度",
            "strength",
            "distance from the cloud relative to its thickness, 0 to 1",
            unit="fraction",
            decimals=3,
            scaled=True,
        ),
    ),
    formula="middles of the 9-, 26- and 52-bar ranges, without displacement",
)
def ichimoku(bars: Panel) -> Values:
    """Ichimoku lines and cloud of the newest bar. Source: Hosoda (1969), without displacement."""

    def middle(width: int) -> Floats:
        width = min(width, bars.rows)
        high = rolling.highest(bars.high[-width:], width)[-1]
        return (high + rolling.lowest(bars.low[-width:], width)[-1]) / 2

    conversion, base = middle(9), middle(26)
    span_a, span_b = (conversion + base) / 2, np.where(bars.lengths >= 52, middle(52), 0.0)
    close, top, bottom = bars.close[-1], np.maximum(span_a, span_b), np.minimum(span_a, span_b)
    buy, sell = (close > top) & (conversion > base), (close < bottom) & (conversion < base)
    beyond = np.where(close > top, close - top, bottom - close) / (top - bottom + 1e-10)
    return Values(
        conversion,
        base,
        span_a,
        span_b,
        close,
        close,
        np.select([buy, sell], ["BUY", "SELL"], "NEUTRAL"),
        np.select([buy, sell], ["多", "空"], "震荡"),
        np.where((close > top) | (close < bottom), np.minimum(1.0, beyond), 0.5),
    )
