"""Momentum: where a price stands in its recent range, and how fast it moves there."""

from __future__ import annotations

import numpy as np

from indicators.contract import Indicator, Panel, Values, indicator, number, price, text
from indicators.kernels import recursions, rolling
from indicators.kernels.bars import turnover


@indicator(
    id="kdj",
    table="KDJ随机指标扫描器.py",
    title="KDJ stochastic",
    family="momentum",
    mode="incremental",
    lookback=50,
    min_bars=40,
    inputs=("high", "low", "close", "quote_volume"),
    columns=(
        number("J值", "j", "3 K - 2 D", unit="score", decimals=3),
        number("K值", "k", "smoothed position in the 9-bar range", unit="score", decimals=3),
        number("D值", "d", "smoothed K", unit="score", decimals=3),
        text("信号概述", "signal", "cross of K and D, an extreme J, or that the move goes on"),
        number("成交额", "turnover", "turnover of the bar", unit="quote"),
        price("当前价格", "price", "close of the bar"),
    ),
    formula="RSV = (close - low9) / (high9 - low9) 100; K = EMA(RSV, 1/3); D = EMA(K, 1/3); J = 3 K - 2 D",
)
def kdj(bars: Panel) -> Values:
    """Stochastic oscillator with the J line. Source: Lane's stochastic; the 1/3 smoothing of Chinese charts.

    Bars whose 9-bar range is zero have no RSV: K stays, D goes on towards K.
    """
    low, high = rolling.lowest(bars.low, 9), rolling.highest(bars.high, 9)
    position = (bars.close[8:] - low) / (high - low) * 100
    k = recursions.ema_over_gaps(position, 1 / 3, minimum=3)
    d = recursions.ema_over_gaps(k, 1 / 3, minimum=3)
    j = 3 * k[-1] - 2 * d[-1]
    signal = np.select(
        [(k[-2] <= d[-2]) & (k[-1] > d[-1]), (k[-2] >= d[-2]) & (k[-1] < d[-1]), j > 100, j < 0],
        ["金叉", "死叉", "J>100 极值", "J<0 极值"],
        "延续",
    )
    return Values(j, k[-1], d[-1], signal, turnover(bars), bars.close[-1], defined=np.isfinite(j))


williams_r = Indicator(
    id="williams_r",
    table="WilliamsR.py",
    title="Williams %R",
    family="momentum",
    mode="batch",
    lookback=42,
    min_bars=14,
    inputs=("high", "low", "close"),
    columns=(number("WilliamsR", "williams_r", "distance of the close from the 14-bar high, -100 to 0", unit="score"),),
    formula="-100 (high14 - close) / (high14 - low14 + 1e-10)",
)
