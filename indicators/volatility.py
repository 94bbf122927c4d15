"""Volatility: how far prices swing, and the bands drawn from it."""

from __future__ import annotations

import numpy as np

from .contract import (
    Coded,
    Indicator,
    Panel,
    Parameters,
    Values,
    difference,
    indicator,
    number,
    price,
    text,
)
from .kernels import chains, rolling
from .kernels.bars import average_true_range, close_ema, close_mean, turnover, typical_price
from .profiles import CORRECTED
from .roles import LINE, LOWER, UPPER, guided


@indicator(
    id="atr_bands",
    title="ATR bands",
    family="volatility",
    inputs=("high", "low", "close", "quote_volume"),
    columns=(
        text(
            "regime",
            "volatility against its own median: rising, falling or stable",
            {"升温": "rising", "降温": "falling", "稳定": "stable"},
        ),
        number("atr_percent", "average true range relative to the close", unit="percent"),
        price("upper", "20-bar mean plus two average true ranges", role=UPPER),
        price("middle", "20-bar mean of the close"),
        price("lower", "20-bar mean less two average true ranges", role=LOWER),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="SMA20(close) ± 2 ATR14; regime by ATR14 against its 30-bar median ± 10 %",
    min_bars=lambda p: max(p.middle, p.median),
    parameters={"middle": 20, "atr": 14, "width": 2.0, "median": 30, "margin": 0.1},
    shares={average_true_range: ("atr",)},
)
def atr_bands(bars: Panel, p: Parameters) -> Values:
    """Bands of two average true ranges (Wilder, 14) around the 20-bar mean, with the volatility regime."""
    atr, usual = chains.usual_true_range(bars, p.atr, p.median)
    close, middle = bars.close[-1], close_mean(bars, p.middle)[-1]
    regime = Coded.select([atr > (1 + p.margin) * usual, atr < (1 - p.margin) * usual], ["升温", "降温"], "稳定")
    percent = np.where(close == 0, 0.0, atr / close * 100)
    reach = p.width * atr
    return Values(regime, percent, middle + reach, middle, middle - reach, turnover(bars), close)


def _bollinger(bars: Panel, p: Parameters, ddof: int) -> Values:
    means = close_mean(bars, p.period)
    middle, deviation = means[-1], rolling.tail_std(bars.close[-p.period :], ddof)
    upper, lower = middle + p.width * deviation, middle - p.width * deviation
    price_now = bars.close[-1]
    return Values(
        (upper - lower) / middle * 100,
        (middle - means[-10]) / 10,
        middle,
        upper,
        lower,
        np.where(upper == lower, 0.0, (price_now - lower) / (upper - lower)),
        price_now,
        turnover(bars),
        defined=np.isfinite(upper) & (middle != 0),
    )


def bollinger_of_the_population(bars: Panel, p: Parameters) -> Values:
    """Bollinger bands with the population's standard deviation. Source: Bollinger (2001)."""
    return _bollinger(bars, p, ddof=0)


@indicator(
    id="bollinger",
    title="Bollinger bands",
    family="volatility",
    inputs=("close", "quote_volume"),
    columns=(
        number("bandwidth", "width of the bands relative to the middle", unit="percent", role=LINE.on_request),
        difference("middle_slope", "slope of the middle band per bar", role=LINE.on_request),
        price("middle", "20-bar mean of the close"),
        price("upper", "mean plus two standard deviations", role=UPPER),
        price("lower", "mean less two standard deviations", role=LOWER),
        number("percent_b", "position of the close between the bands, 0 to 1", unit="fraction", role=guided(0, 1)),
        price("price", "close of the bar"),
        number("turnover", "turnover of the bar", unit="quote"),
    ),
    formula="SMA20(close) ± 2 std20 (sample); slope = (middle - middle 9 bars ago) / 10",
    min_bars=lambda p: max(p.period, 10),
    parameters={"period": 20, "width": 2.0},
    variants={CORRECTED: bollinger_of_the_population},
)
def bollinger(bars: Panel, p: Parameters) -> Values:
    """Bollinger bands over 20 bars (all bars of a shorter series). Source: Bollinger (1980s), with the sample std."""
    return _bollinger(bars, p, ddof=1)


donchian = Indicator(
    id="donchian",
    title="Donchian channel",
    family="volatility",
    inputs=("high", "low"),
    columns=(
        price("upper", "highest high of 20 bars, the newest included", role=UPPER),
        price("middle", "mean of the upper and the lower band"),
        price("lower", "lowest low of 20 bars, the newest included", role=LOWER),
    ),
    formula="upper = high20; lower = low20; middle = (upper + lower) / 2",
    min_bars=lambda p: p.period,
    parameters={"period": 20},
)


@indicator(
    id="keltner",
    title="Keltner channel",
    family="volatility",
    inputs=("high", "low", "close"),
    columns=(
        price("upper", "middle plus two average true ranges", role=UPPER),
        price("middle", "EMA of 20 bars"),
        price("lower", "middle less two average true ranges", role=LOWER),
        difference("atr", "average true range of 10 bars", role=LINE.on_request),
    ),
    formula="EMA20(close) ± 2 ATR10",
    min_bars=lambda p: p.period,
    parameters={"period": 20, "atr": 10, "width": 2.0},
    shares={close_ema: ("period",), average_true_range: ("atr",)},
)
def keltner(bars: Panel, p: Parameters) -> Values:
    """Keltner channel around an EMA. Source: Keltner (1960) in Linda Raschke's form."""
    middle, atr = close_ema(bars, p.period)[-1], average_true_range(bars, p.atr, 1)[-1]
    return Values(middle + p.width * atr, middle, middle - p.width * atr, atr)


RATIOS = np.array([0.236, 0.382, 0.5, 0.618, 0.764, 1.0])


@indicator(
    id="vwma_fib_bands",
    title="Fibonacci bands around the VWMA",
    family="volatility",
    inputs=("high", "low", "close", "volume"),
    columns=(
        text(
            "signal",
            "buy or sell where the close leaves a band, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait", "数据不足": "too few bars"},
        ),
        text("direction", "long or short", {"多头": "long", "空头": "short"}),
        number("strength", "rank of the band left, or distance from the basis", unit="score", role=LINE.on_request),
        text(
            "zone",
            "inside the widest band above or below the basis, or outside",
            {"上通道(1.0)": "upper channel", "下通道(1.0)": "lower channel", "中间": "outside"},
        ),
        price("basis", "volume-weighted mean of 200 bars"),
    ),
    formula="VWMA200(tp) ± (0.236, 0.382, 0.5, 0.618, 0.764, 1) x 3 std200(tp)",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 200, "width": 3.0},
)
def vwma_fib_bands(bars: Panel, p: Parameters) -> Values:
    """Fibonacci fractions of three standard deviations around a volume-weighted mean."""
    typical = typical_price(bars)
    traded = np.stack([bars.volume, typical * bars.volume], axis=1)
    volume, turnover_ = rolling.moving_sum(traded, p.period, bars.first, rows=1)[0][0]
    basis = turnover_ / volume
    deviation = p.width * rolling.tail_std(typical[-p.period :])
    close, before = bars.close[-1], bars.close[-2]
    upper, lower = basis + RATIOS[:, None] * deviation, basis - RATIOS[:, None] * deviation
    distance = np.abs(close - basis) / np.maximum(deviation, 1e-9) * 100
    above = close >= basis
    # Without volume there is no basis, and nothing to say.
    known = np.isfinite(basis)
    zone = Coded.select(
        [~known, above & (close <= upper[-1]), ~above & (close >= lower[-1])],
        [None, "上通道(1.0)", "下通道(1.0)"],
        "中间",
    )
    # The narrowest band that the close has left decides, on either side.
    up, down = (before <= upper) & (close > upper), (before >= lower) & (close < lower)
    left = (up | down).any(axis=0)
    band = (up | down).argmax(axis=0)
    buy = left & np.take_along_axis(up, band[None], axis=0)[0]
    sell = left & ~buy
    return Values(
        Coded.select([~known, buy, sell], [None, "买入", "卖出"], "观望"),
        Coded.select([~known, buy | ~sell & above], [None, "多头"], "空头"),
        np.where(left, (band + 1) * (1 + np.minimum(distance / 50, 1)), np.minimum(distance / 10, 6)),
        zone,
        basis,
    )
