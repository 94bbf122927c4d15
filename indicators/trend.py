"""Trend: which way a series goes, and for how long."""

from __future__ import annotations

import numpy as np

from indicators.contract import Panel, Values, indicator, number, price, text
from indicators.kernels import recursions
from indicators.kernels.bars import average_true_range, close_ema, turnover


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
    dif = close_ema(bars, 12) - close_ema(bars, 26)
    dea = recursions.ema(dif, recursions.span(9), bars.first)
    histogram = 2 * (dif[-2:] - dea[-2:])
    # The histogram crosses zero exactly where the lines cross, save where the difference rounds to zero.
    zero = np.select(
        [(histogram[0] <= 0) & (histogram[1] > 0), (histogram[0] >= 0) & (histogram[1] < 0)],
        ["零轴上穿", "零轴下破"],
        "",
    )
    suffix = np.where(zero == "", "", np.strings.add("/", zero))
    signal = np.select(
        [(dif[-2] <= dea[-2]) & (dif[-1] > dea[-1]), (dif[-2] >= dea[-2]) & (dif[-1] < dea[-1]), zero != ""],
        [np.strings.add("金叉", suffix), np.strings.add("死叉", suffix), zero],
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
