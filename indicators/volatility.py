"""Volatility: how far prices swing, and the bands drawn from it."""

from __future__ import annotations

import numpy as np

from indicators.contract import Indicator, Panel, Values, indicator, number, price, text
from indicators.kernels import rolling
from indicators.kernels.bars import average_true_range, close_mean, turnover


@indicator(
    id="atr_bands",
    table="ATR波幅扫描器.py",
    title="ATR bands",
    family="volatility",
    mode="incremental",
    lookback=60,
    min_bars=60,
    inputs=("high", "low", "close", "quote_volume"),
    columns=(
        text("波动分类", "regime", "volatility against its own median: rising, falling or stable"),
        number("ATR百分比", "atr_percent", "average true range relative to the close", unit="percent", decimals=4),
        price("上轨", "upper", "20-bar mean plus two average true ranges", rounded="scaled"),
        price("中轨", "middle", "20-bar mean of the close", rounded="scaled"),
        price("下轨", "lower", "20-bar mean less two average true ranges", rounded="scaled"),
        number("成交额", "turnover", "turnover of the bar", unit="quote"),
        price("当前价格", "price", "close of the bar"),
    ),
    formula="SMA20(close) ± 2 ATR14; regime by ATR14 against its 30-bar median ± 10 %",
)
def atr_bands(bars: Panel) -> Values:
    """Bands of two average true ranges (Wilder, 14) around the 20-bar mean, with the volatility regime."""
    ranges = average_true_range(bars, 14)
    atr, usual = ranges[-1], np.median(ranges[-30:], axis=0)
    close, middle = bars.close[-1], close_mean(bars, 20)[-1]
    regime = np.select([atr > 1.1 * usual, atr < 0.9 * usual], ["升温", "降温"], "稳定")
    percent = np.where(close == 0, 0.0, atr / close * 100)
    return Values(regime, percent, middle + 2 * atr, middle, middle - 2 * atr, turnover(bars), close)


@indicator(
    id="bollinger",
    table="布林带扫描器.py",
    title="Bollinger bands",
    family="volatility",
    mode="batch",
    lookback=30,
    min_bars=15,
    inputs=("close", "quote_volume"),
    columns=(
        number("带宽", "bandwidth", "width of the bands relative to the middle", unit="percent", decimals=4),
        price("中轨斜率", "middle_slope", "slope of the middle band per bar", rounded="exact"),
        price("中轨价格", "middle", "20-bar mean of the close", rounded="exact"),
        price("上轨价格", "upper", "mean plus two standard deviations", rounded="exact"),
        price("下轨价格", "lower", "mean less two standard deviations", rounded="exact"),
        number("百分比b", "percent_b", "position of the close between the bands, 0 to 1", unit="fraction", decimals=4),
        price("价格", "price", "close of the bar"),
        number("成交额", "turnover", "turnover of the bar", unit="quote"),
    ),
    formula="SMA20(close) ± 2 std20 (sample); slope = (middle - middle 9 bars ago) / 10",
)
def bollinger(bars: Panel) -> Values:
    """Bollinger bands over 20 bars (all bars of a shorter series). Source: Bollinger (1980s), with the sample std."""
    means = close_mean(bars, 20)
    middle, deviation = means[-1], rolling.tail_std(bars.close[-20:])
    upper, lower = middle + 2 * deviation, middle - 2 * deviation
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


donchian = Indicator(
    id="donchian",
    table="Donchian.py",
    title="Donchian channel",
    family="volatility",
    mode="batch",
    lookback=60,
    min_bars=20,
    inputs=("high", "low"),
    columns=(
        price("上轨", "upper", "highest high of 20 bars, the newest included"),
        price("中轨", "middle", "mean of the upper and the lower band"),
        price("下轨", "lower", "lowest low of 20 bars, the newest included"),
    ),
    formula="upper = high20; lower = low20; middle = (upper + lower) / 2",
)
