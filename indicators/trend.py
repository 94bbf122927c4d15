"""Trend by averages and channels: which way a series goes, and how strongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Coded, Panel, Parameters, Values, difference, indicator, number, price, text
from .kernels import chains, recursions, rolling
from .kernels.bars import average_true_range, close_ema, close_ema_from_mean, true_range_from_mean, turnover
from .profiles import CORRECTED
from .roles import CLOUD, CLOUD_BASE, HISTOGRAM, LEVEL, LINE, flips, guided

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import Bools, Floats


def _crosses(dif: Floats, dea: Floats, line: Floats) -> Coded:
    """Whether DIF has crossed DEA in the newest bar, and a line zero; of each the newest two rows."""
    above, below = (line[-2] <= 0) & (line[-1] > 0), (line[-2] >= 0) & (line[-1] < 0)
    golden = (dif[-2] <= dea[-2]) & (dif[-1] > dea[-1])
    dead = (dif[-2] >= dea[-2]) & (dif[-1] < dea[-1])
    return Coded.select(
        [golden & above, golden & below, golden, dead & above, dead & below, dead, above, below],
        ["金叉/零轴上穿", "金叉/零轴下破", "金叉", "死叉/零轴上穿", "死叉/零轴下破", "死叉", "零轴上穿", "零轴下破"],
        "延续",
    )


def macd_of_dif(bars: Panel, p: Parameters) -> Values:
    """EMAs that begin with the mean of their first bars, the fast one in the bar in which the slow one does.

    It is DIF whose cross of zero counts. The histogram is doubled, as in Chinese charts.
    Source: Appel (1979), with the beginning that TA-Lib has.
    """

    def ema(values: Floats, period: int, skipped: int) -> Floats:
        return recursions.ema_from_mean(values, period, recursions.span(float(period)), bars.first + skipped)

    dif = ema(bars.close, p.fast, p.slow - p.fast) - ema(bars.close, p.slow, 0)
    dea = ema(dif, p.signal, p.slow - 1)
    now, signal_line = dif[-1], dea[-1]
    bars.note(DIF=dif, DEA=dea)
    return Values(
        *(_crosses(dif, dea, dif), now, signal_line, 2 * (now - signal_line), now, signal_line),
        *(bars.quote_volume[-1], bars.close[-1]),
    )


@indicator(
    id="macd",
    title="MACD",
    family="trend",
    inputs=("close", "quote_volume"),
    columns=(
        text(
            "signal",
            "cross of DIF and DEA in this bar, or that the trend goes on",
            {
                "金叉/零轴上穿": "golden cross with a cross above zero",
                "死叉/零轴下破": "death cross with a cross below zero",
                "延续": "continues",
            },
        ),
        difference("macd", "DIF, the fast EMA less the slow one"),
        difference("signal_line", "DEA, the EMA of DIF"),
        difference("histogram", "twice DIF less DEA", role=HISTOGRAM),
        difference("dif", "the same as macd"),
        difference("dea", "the same as signal_line"),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="DIF = EMA12(close) - EMA26(close); DEA = EMA9(DIF); histogram = 2 (DIF - DEA)",
    min_bars=lambda p: p.slow + p.signal,
    parameters={"fast": 12, "slow": 26, "signal": 9},
    variants={CORRECTED: macd_of_dif},
    variant_words={
        "signal": {
            "金叉": "golden cross",
            "死叉": "death cross",
            "零轴上穿": "cross above zero",
            "零轴下破": "cross below zero",
        }
    },
)
def macd(bars: Panel, p: Parameters) -> Values:
    """Moving average convergence/divergence with its crosses. Source: Appel (1979), doubled as in Chinese charts."""
    dif, dea = chains.convergence(bars.close, p.fast, p.slow, p.signal, bars.first)
    histogram = 2 * (dif - dea)
    bars.note(DIF=dif, DEA=dea)
    # The histogram crosses zero exactly where the lines cross, save where the difference rounds to zero.
    signal = _crosses(dif, dea, histogram)
    return Values(signal, dif[-1], dea[-1], histogram[1], dif[-1], dea[-1], turnover(bars), bars.close[-1])


def _supertrend(upper: Floats, lower: Floats, short: Bools) -> Values:
    return Values(np.where(short, upper, lower), Coded.select([short], ["空"], "多"), upper, lower)


def supertrend_from_mean(bars: Panel, p: Parameters) -> Values:
    """Bands of Wilder's average true range from its first value on, short until a close lies above the upper band.

    Source: Seban's SuperTrend, begun as TradingView's ta.supertrend does.
    """
    middle, reach = (bars.high + bars.low) / 2, p.multiplier * true_range_from_mean(bars, p.period)
    begins = bars.first + p.period
    bars.note(middle=middle, reach=reach)
    return _supertrend(*recursions.supertrend(middle + reach, middle - reach, bars.close, begins, begins_short=True))


@indicator(
    id="supertrend",
    title="SuperTrend",
    family="trend",
    inputs=("high", "low", "close"),
    columns=(
        price("supertrend", "the band that the trend follows", role=flips("direction")),
        text("direction", "long or short", {"多": "long", "空": "short"}),
        price("upper", "final upper band", role=LEVEL.on_request),
        price("lower", "final lower band", role=LEVEL.on_request),
    ),
    formula="(high + low) / 2 ± 3 ATR10, each band held until a close breaks it",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 10, "multiplier": 3.0},
    shares={average_true_range: ("period",)},
    variants={CORRECTED: supertrend_from_mean},
)
def supertrend(bars: Panel, p: Parameters) -> Values:
    """SuperTrend of period 10 and multiplier 3 over Wilder's average true range."""
    upper, lower, short = chains.supertrend(bars, p.period, p.multiplier)
    bars.note(upper=upper, lower=lower, short=short)
    return _supertrend(upper, lower, short)


def _alignment(fast: Floats, middle: Floats, slow: Floats, close: Floats) -> Values:
    trend = Coded.select(
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


def ema_gc_from_mean(bars: Panel, p: Parameters) -> Values:
    """The three EMAs begin with the mean of their first bars. Source: the EMA as TA-Lib begins it."""
    fast, middle, slow = (close_ema_from_mean(bars, period)[-1] for period in (p.fast, p.middle, p.slow))
    bars.note(EMA7=fast, EMA25=middle, EMA99=slow)
    return _alignment(fast, middle, slow, bars.close[-1])


@indicator(
    id="ema_gc",
    title="EMA alignment",
    family="trend",
    inputs=("close",),
    columns=(
        price("ema7", "EMA of 7 bars"),
        price("ema25", "EMA of 25 bars"),
        price("ema99", "EMA of 99 bars"),
        price("price", "close of the bar"),
        text(
            "trend",
            "how the three averages and the close are ordered",
            {
                "多头排列": "bullish order",
                "偏多": "leaning bullish",
                "空头排列": "bearish order",
                "偏空": "leaning bearish",
                "震荡": "sideways",
            },
        ),
        number("width_score", "spread of the averages, 0 to 100", unit="score"),
    ),
    formula="EMA7, EMA25, EMA99 of the close; score = 100 (1 - exp(-(max - min) / |close| / 0.03))",
    min_bars=lambda p: p.slow,
    parameters={"fast": 7, "middle": 25, "slow": 99},
    shares={close_ema: ("fast", "middle", "slow")},
    variants={CORRECTED: ema_gc_from_mean},
)
def ema_gc(bars: Panel, p: Parameters) -> Values:
    """Three EMAs, their order, and how far they spread."""
    fast, middle, slow = (close_ema(bars, period)[-1] for period in (p.fast, p.middle, p.slow))
    bars.note(EMA7=fast, EMA25=middle, EMA99=slow)
    return _alignment(fast, middle, slow, bars.close[-1])


def _ribbon(bars: Panel, p: Parameters, averages: Callable[[Panel, int], Floats], *, one_scale: bool) -> Values:
    before, now = np.stack([averages(bars, period) for period in p.periods], axis=1)
    bars.note(**{f"EMA{period}": average for period, average in zip(p.periods, now, strict=True)})
    slowest, close = now[-1], bars.close[-1]
    bullish = ((now > slowest) & (now - before > 0)).sum(axis=0) / len(p.periods)
    bearish = ((now < slowest) & (now - before < 0)).sum(axis=0) / len(p.periods)
    buy, sell = bullish >= p.agreeing, bearish >= p.agreeing
    undecided = np.maximum(bullish, bearish) * 10 if one_scale else np.abs((close - slowest) / slowest) * 5
    return Values(
        Coded.select([buy, sell], ["买入", "卖出"], "观望"),
        Coded.select([buy | ~sell & (close > slowest)], ["多头"], "空头"),
        np.select([buy, sell], [bullish * 10, bearish * 10], undecided),
        bullish,
        bearish,
        slowest,
    )


def ema_ribbon_of_one_scale(bars: Panel, p: Parameters) -> Values:
    """The EMAs begin with the mean of their first bars; the strength is always 10 times the larger of the fractions.

    Source: the EMA as TA-Lib begins it; the scale is a convention: that of the signals, for all.
    """
    return _ribbon(bars, p, close_ema_from_mean, one_scale=True)


@indicator(
    id="ema_ribbon",
    title="EMA ribbon",
    family="trend",
    inputs=("close",),
    columns=(
        text(
            "signal",
            "buy or sell where most averages agree, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait"},
        ),
        text("direction", "long or short", {"多头": "long", "空头": "short"}),
        number("strength", "share of agreeing averages x 10, or distance from EMA100 x 5", unit="score"),
        number("bullish_fraction", "averages above EMA100 and rising", unit="fraction", role=LINE.long),
        number("bearish_fraction", "averages below EMA100 and falling", unit="fraction", role=LINE.short),
        price("ema100", "EMA of 100 bars"),
    ),
    formula="of 18 EMAs from 5 to 100 bars, how many lie above EMA100 and rise, and how many below it and fall",
    min_bars=lambda p: max(p.periods),
    parameters={"periods": (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 90, 100), "agreeing": 0.7},
    shares={close_ema: ("periods",)},
    variants={CORRECTED: ema_ribbon_of_one_scale},
)
def ema_ribbon(bars: Panel, p: Parameters) -> Values:
    """Eighteen EMAs against the slowest of them; a signal where 13 or more agree."""
    return _ribbon(bars, p, close_ema, one_scale=False)


def adx_from_mean(bars: Panel, p: Parameters) -> Values:
    """All smoothings begin with a mean instead of with 0 at the first bar.

    Source: Wilder (1978), as TA-Lib begins ADX, PLUS_DI and MINUS_DI.
    """
    average, plus, minus = chains.directional_movement_from_mean(bars, p.period)
    bars.note(ADX=average, DI_plus=plus, DI_minus=minus)
    return Values(average, plus, minus)


@indicator(
    id="adx",
    title="Average directional index",
    family="trend",
    inputs=("high", "low", "close"),
    columns=(
        number("adx", "strength of the trend, 0 to 100", unit="score", role=guided(25)),
        number("plus_di", "upward movement relative to the true range", unit="percent", role=LINE.long.within("score")),
        number(
            "minus_di", "downward movement relative to the true range", unit="percent", role=LINE.short.within("score")
        ),
    ),
    formula="DI = 100 smoothed DM / smoothed TR; ADX = smoothed 100 |DI+ - DI-| / (DI+ + DI-); Wilder, 14",
    min_bars=lambda p: 2 * p.period,
    parameters={"period": 14},
    variants={CORRECTED: adx_from_mean},
)
def adx(bars: Panel, p: Parameters) -> Values:
    """Directional movement of 14 bars. Source: Wilder (1978), all smoothings beginning with 0 at the first bar."""
    average, plus, minus = chains.directional_movement(bars, p.period)
    bars.note(ADX=average, DI_plus=plus, DI_minus=minus)
    return Values(average, plus, minus)


def _middle(bars: Panel, width: int, back: int = 0) -> Floats:
    """Middle of the range of some bars that end so many before the newest, NaN where a series lacks one of them."""
    end = bars.rows - back
    rows = slice(max(end - width, 0), end)
    high = rolling.highest(bars.high[rows], min(width, end))[-1]
    return (high + rolling.lowest(bars.low[rows], min(width, end))[-1]) / 2


def _cloud(bars: Panel, conversion: Floats, base: Floats, span_a: Floats, span_b: Floats, least: float) -> Values:
    """Lines and cloud with what they say; ``least`` is added to the thickness of the cloud."""
    close, top, bottom = bars.close[-1], np.maximum(span_a, span_b), np.minimum(span_a, span_b)
    buy, sell = (close > top) & (conversion > base), (close < bottom) & (conversion < base)
    beyond = np.where(close > top, close - top, bottom - close) / (top - bottom + least)
    inside = np.where(np.isnan(top), np.nan, 0.5)
    bars.note(cloud_top=top, cloud_bottom=bottom, distance_in_clouds=beyond)
    return Values(
        conversion,
        base,
        span_a,
        span_b,
        close,
        close,
        Coded.select([buy, sell], ["BUY", "SELL"], "NEUTRAL"),
        Coded.select([buy, sell], ["多", "空"], "震荡"),
        np.where((close > top) | (close < bottom), np.minimum(1.0, beyond), inside),
    )


def ichimoku_displaced(bars: Panel, p: Parameters) -> Values:
    """The cloud of the newest bar is that of ``base`` bars before it, NULL without enough bars, as is what it says.

    The thickness has no constant added: beyond a cloud of no thickness the strength is 1. The lagging line is the
    close, as its newest point is; charts draw it ``base`` bars earlier. Source: Hosoda (1969).
    """
    span_a, span_b = np.full(bars.series, np.nan), np.full(bars.series, np.nan)
    if bars.rows >= 2 * p.base:
        span_a = (_middle(bars, p.conversion, p.base) + _middle(bars, p.base, p.base)) / 2
    if bars.rows >= p.span_b + p.base:
        span_b = _middle(bars, p.span_b, p.base)
    return _cloud(bars, _middle(bars, p.conversion), _middle(bars, p.base), span_a, span_b, 0.0)


@indicator(
    id="ichimoku",
    title="Ichimoku cloud",
    family="trend",
    inputs=("high", "low", "close"),
    columns=(
        price("conversion", "middle of the 9-bar range"),
        price("base", "middle of the 26-bar range"),
        price("span_a", "mean of conversion and base", role=CLOUD.ahead(26)),
        price("span_b", "middle of the 52-bar range, 0 where there are fewer bars", role=CLOUD_BASE.ahead(26)),
        price("lagging", "close of the bar", role=LEVEL.ahead(-26)),
        price("price", "close of the bar"),
        text(
            "signal",
            "BUY above the cloud, SELL below it, with the lines in order",
            {"BUY": "buy", "SELL": "sell", "NEUTRAL": "neutral"},
        ),
        text("direction", "long, short or sideways", {"多": "long", "空": "short", "震荡": "sideways"}),
        number(
            "strength",
            "distance from the cloud relative to its thickness, 0 to 1",
            unit="fraction",
            role=LINE.on_request,
        ),
    ),
    formula="middles of the 9-, 26- and 52-bar ranges, without displacement",
    min_bars=lambda p: p.base,
    parameters={"conversion": 9, "base": 26, "span_b": 52},
    variants={CORRECTED: ichimoku_displaced},
)
def ichimoku(bars: Panel, p: Parameters) -> Values:
    """Ichimoku lines and cloud of the newest bar. Source: Hosoda (1969), without displacement."""
    conversion, base = _middle(bars, p.conversion), _middle(bars, p.base)
    span_b = np.where(bars.lengths >= p.span_b, _middle(bars, p.span_b), 0.0)
    return _cloud(bars, conversion, base, (conversion + base) / 2, span_b, 1e-10)
