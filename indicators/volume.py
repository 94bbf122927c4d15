"""Volume: raw bars, turnover and who takes the initiative."""

from __future__ import annotations

import numpy as np

from .contract import Indicator, Panel, Values, indicator, integer, number, price, text
from .kernels import rolling
from .kernels.bars import changes, turnover, typical_price

base_data = Indicator(
    id="base_data",
    table="基础数据同步器.py",
    title="Base data",
    family="volume",
    mode="incremental",
    lookback=1,
    min_bars=1,
    inputs=(
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trade_count",
        "taker_buy_volume",
        "taker_buy_quote_volume",
    ),
    columns=(
        price("开盘价", "open", "open of the bar"),
        price("最高价", "high", "high of the bar"),
        price("最低价", "low", "low of the bar"),
        price("收盘价", "close", "close of the bar"),
        price("当前价格", "price", "the same as close"),
        number("成交量", "volume", "volume of the bar", unit="base"),
        number("成交额", "turnover", "turnover of the bar; volume times close where the source has none", unit="quote"),
        number("振幅", "range_fraction", "high less low, relative to the low", unit="fraction"),
        number("变化率", "change_fraction", "close less open, relative to the open", unit="fraction"),
        integer("交易次数", "trade_count", "trades in the bar, 0 where the source has none"),
        integer("成交笔数", "trades", "the same as trade_count"),
        number("主动买入量", "taker_buy_volume", "volume bought by takers", unit="base"),
        number("主动买量", "taker_buy", "the same as taker_buy_volume", unit="base"),
        number("主动买额", "taker_buy_turnover", "turnover bought by takers", unit="quote"),
        number("主动卖出量", "taker_sell_volume", "volume sold by takers", unit="base"),
        number("主动买卖比", "taker_buy_fraction", "share of the volume that takers bought", unit="fraction"),
        number("主动卖出额", "taker_sell_turnover", "turnover sold by takers", unit="quote"),
        number("资金流向", "net_flow", "turnover bought less turnover sold by takers", unit="quote"),
        number("平均每笔成交额", "turnover_per_trade", "turnover per trade, 0 without trades", unit="quote"),
    ),
    formula="the newest bar, with its range, change, taker shares and turnover per trade",
)

taker_buy_ratio = Indicator(
    id="taker_buy_ratio",
    table="主动买卖比扫描器.py",
    title="Taker buy ratio",
    family="volume",
    mode="incremental",
    lookback=1,
    min_bars=1,
    inputs=("volume", "taker_buy_volume", "close"),
    columns=(
        number("主动买量", "taker_buy_volume", "volume bought by takers, 0 where the source has none", unit="base"),
        number("主动卖量", "taker_sell_volume", "volume sold by takers", unit="base"),
        number("主动买卖比", "taker_buy_fraction", "share of the volume that takers bought", unit="fraction"),
        price("价格", "price", "close of the bar"),
    ),
    formula="taker_buy_volume / volume of the newest bar; no value without volume",
)

volume_ratio = Indicator(
    id="volume_ratio",
    table="成交量比率扫描器.py",
    title="Volume ratio",
    family="volume",
    mode="batch",
    lookback=30,
    min_bars=25,
    inputs=("volume", "quote_volume", "close"),
    columns=(
        number("量比", "volume_ratio", "volume relative to its 20-bar mean", unit="ratio", decimals=4),
        text("信号概述", "signal", "class of the ratio, from shrinking to extreme"),
        number("成交额", "turnover", "turnover of the bar", unit="quote"),
        price("当前价格", "price", "close of the bar"),
    ),
    formula="volume / SMA20(volume), the newest bar included; classes at 5, 2, 1 and 0.7",
    short={"信号概述": "数据不足"},
)


@indicator(
    id="obv",
    table="OBV能量潮扫描器.py",
    title="On-balance volume",
    family="volume",
    mode="incremental",
    lookback=50,
    min_bars=32,
    inputs=("close", "volume"),
    columns=(
        number("OBV值", "obv", "volume of rising less volume of falling bars", unit="base"),
        number("OBV变化率", "change", "change over 29 bars relative to the value then", unit="fraction"),
    ),
    formula="running sum of sign(close - previous close) x volume",
)
def obv(bars: Panel) -> Values:
    """On-balance volume since the first bar. Source: Granville (1963)."""
    flow = np.cumsum(np.nan_to_num(np.sign(changes(bars.close)) * bars.volume), axis=0)
    base = flow[-30]
    return Values(flow[-1], (flow[-1] - base) / np.maximum(np.abs(base), 1e-9))


@indicator(
    id="cvd",
    table="CVD信号排行榜.py",
    title="Cumulative volume delta",
    family="volume",
    mode="incremental",
    lookback=400,
    min_bars=2,
    inputs=("volume", "taker_buy_volume"),
    columns=(
        number("CVD值", "cvd", "volume bought less volume sold by takers", unit="base"),
        number("变化率", "change", "change over 359 bars relative to the value then", unit="fraction"),
    ),
    formula="running sum of taker buys less taker sells; half the volume where takers are unknown",
)
def cvd(bars: Panel) -> Values:
    """Cumulative volume delta since the first bar."""
    volume = np.nan_to_num(bars.volume)
    buys = np.where(np.isnan(bars.taker_buy_volume), 0.5 * volume, bars.taker_buy_volume)
    flow = np.cumsum(buys - np.maximum(volume - buys, 0), axis=0)
    back = np.minimum(360, bars.lengths - 1)
    base = np.take_along_axis(flow, np.maximum(bars.rows - back, 0)[None] % bars.rows, axis=0)[0]
    return Values(flow[-1], (flow[-1] - base) / (np.abs(base) + 1e-9))


@indicator(
    id="vwap",
    table="VWAP离线信号扫描.py",
    title="Volume-weighted average price",
    family="volume",
    mode="batch",
    lookback=300,
    min_bars=10,
    inputs=("high", "low", "close", "volume", "quote_volume"),
    columns=(
        price("VWAP价格", "vwap", "volume-weighted mean of the typical price over 300 bars", rounded="exact"),
        price("偏离度", "deviation", "close less the VWAP", rounded="exact"),
        number("偏离百分比", "deviation_percent", "the same relative to the VWAP", unit="percent", decimals=4),
        number("成交量加权", "volume", "volume of the bar, 1e-9 instead of 0", unit="base"),
        price("当前价格", "price", "close of the bar"),
        number("成交额（USDT）", "turnover", "turnover of the bar", unit="quote"),
        price("VWAP上轨", "upper", "VWAP plus a standard deviation", rounded="exact"),
        price("VWAP下轨", "lower", "VWAP less a standard deviation", rounded="exact"),
        price("VWAP带宽", "bandwidth", "upper less lower", rounded="exact"),
        number("VWAP带宽百分比", "bandwidth_percent", "the same relative to the VWAP", unit="percent", decimals=4),
    ),
    formula="sum(tp x volume) / sum(volume) over 300 bars, ± population std of tp",
)
def vwap(bars: Panel) -> Values:
    """Rolling VWAP of up to 300 bars with a band of one unweighted standard deviation."""
    typical, volume, close = typical_price(bars)[-300:], bars.volume[-300:], bars.close[-1]
    volume = np.where(volume == 0, 1e-9, volume)
    average = rolling.tail_sum(typical * volume) / rolling.tail_sum(volume)
    average = np.where(np.isfinite(average) & (average != 0), average, close)
    deviation = rolling.tail_std(typical, ddof=0)
    upper, lower = average + deviation, average - deviation
    width = np.maximum(upper - lower, 0)
    return Values(
        average,
        close - average,
        np.where(average == 0, 0.0, (close - average) / average * 100),
        volume[-1],
        close,
        turnover(bars),
        upper,
        lower,
        width,
        np.where(average == 0, 0.0, width / average * 100),
    )
