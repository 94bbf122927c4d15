"""Structure: the levels that a price respects."""

from __future__ import annotations

import numpy as np

from indicators.contract import Panel, Values, indicator, number, price
from indicators.kernels import rolling
from indicators.kernels.bars import average_true_range


@indicator(
    id="support_resistance",
    table="全量支撑阻力扫描器.py",
    title="Support and resistance",
    family="structure",
    mode="batch",
    lookback=100,
    min_bars=20,
    inputs=("high", "low", "close"),
    columns=(
        price("支撑位", "support", "lowest low of 20 bars, the newest included", rounded="exact"),
        price("阻力位", "resistance", "highest high of 20 bars, the newest included", rounded="exact"),
        price("当前价格", "price", "close of the bar"),
        price("ATR", "atr", "average true range", rounded="exact"),
        number("距支撑百分比", "support_distance", "close above the support", unit="percent", decimals=4),
        number("距阻力百分比", "resistance_distance", "resistance above the close", unit="percent", decimals=4),
        number("距关键位百分比", "nearest_distance", "distance to the nearer of the two", unit="percent", decimals=4),
    ),
    formula="support = low20; resistance = high20; ATR14 in Wilder's smoothing; distances relative to the close",
)
def support_resistance(bars: Panel) -> Values:
    """Extremes of the last 20 bars as support and resistance, with the distance of the close from each."""
    support = rolling.lowest(bars.low[-20:], 20)[-1]
    resistance = rolling.highest(bars.high[-20:], 20)[-1]
    close = bars.close[-1]
    below = np.where(close == 0, 0.0, (close - support) / close * 100)
    above = np.where(close == 0, 0.0, (resistance - close) / close * 100)
    nearest = np.minimum(np.abs(below), np.abs(above))
    return Values(support, resistance, close, average_true_range(bars, 14)[-1], below, above, nearest)
