"""Volatility: how far prices swing, and the bands drawn from it."""

from __future__ import annotations

import numpy as np

from .contract import NO_TEXT, Indicator, Panel, Values, indicator, number, price, text
from .kernels import rolling
from .kernels.bars import average_true_range, close_ema, close_mean, turnover, typical_price


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
    close, middle = bars.close[-1], close_mean(bars)[-1]
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
    means = close_mean(bars)
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


@indicator(
    id="keltner",
    table="Keltner.py",
    title="Keltner channel",
    family="volatility",
    mode="batch",
    lookback=60,
    min_bars=20,
    inputs=("high", "low", "close"),
    columns=(
        price("上轨", "upper", "middle plus two average true ranges"),
        price("中轨", "middle", "EMA of 20 bars"),
        price("下轨", "lower", "middle less two average true ranges"),
        price("ATR", "atr", "average true range of 10 bars"),
    ),
    formula="EMA20(close) ± 2 ATR10",
)
def keltner(bars: Panel) -> Values:
    """Keltner channel around an EMA. Source: Keltner (1960) in Linda Raschke's form."""
    middle, atr = close_ema(bars, 20)[-1], average_true_range(bars, 10)[-1]
    return Values(middle + 2 * atr, middle, middle - 2 * atr, atr)


RATIOS = np.array([0.236, 0.382, 0.5, 0.618, 0.764, 1.0])


@indicator(
    id="vwma_fib_bands",
    table="量能斐波狙击扫描器.py",
    title="Fibonacci bands around the VWMA",
    family="volatility",
    mode="batch",
    lookback=220,
    min_bars=210,
    inputs=("high", "low", "close", "volume"),
    columns=(
        text("信号", "signal", "buy or sell where the close leaves a band, else wait"),
        text("方向", "direction", "long or short"),
        number("强度", "strength", "rank of the band left, or distance from the basis", unit="score", decimals=2),
        text("价格区域", "zone", "inside the widest band above or below the basis, or outside"),
        price("VWMA基准", "basis", "volume-weighted mean of 200 bars", rounded="exact"),
    ),
    formula="VWMA200(tp) ± (0.236, 0.382, 0.5, 0.618, 0.764, 1) x 3 std200(tp)",
    short={"信号": "数据不足"},
)
def vwma_fib_bands(bars: Panel) -> Values:
    """Fibonacci fractions of three standard deviations around a volume-weighted mean."""
    typical = typical_price(bars)
    traded = np.stack([bars.volume, typical * bars.volume], axis=1)
    volume, turnover_ = rolling.moving_sum(traded, 200, bars.first, rows=1)[0][0]
    basis = turnover_ / volume
    deviation = 3 * rolling.tail_std(typical[-200:])
    close, before = bars.close[-1], bars.close[-2]
    upper, lower = basis + RATIOS[:, None] * deviation, basis - RATIOS[:, None] * deviation
    distance = np.abs(close - basis) / np.maximum(deviation, 1e-9) * 100
    above = close >= basis
    zone = np.select(
        [above & (close <= upper[-1]), ~above & (close >= lower[-1])], ["上通道(1.0)", "下通道(1.0)"], "中间"
    )
    # The narrowest band that the close has left decides, on either side.
    up, down = (before <= upper) & (close > upper), (before >= lower) & (close < lower)
    left = (up | down).any(axis=0)
    band = (up | down).argmax(axis=0)
    buy = left & np.take_along_axis(up, band[None], axis=0)[0]
    sell = left & ~buy
    # Without volume there is no basis, and nothing to say.
    known = np.isfinite(basis)
    return Values(
        np.where(known, np.select([buy, sell], ["买入", "卖出"], "观望"), NO_TEXT),
        np.where(known, np.where(buy | ~sell & above, "多头", "空头"), NO_TEXT),
        np.where(left, (band + 1) * (1 + np.minimum(distance / 50, 1)), np.minimum(distance / 10, 6)),
        np.where(known, zone, NO_TEXT),
        basis,
    )
