"""Volume: raw bars, turnover and who takes the initiative."""

from __future__ import annotations

from indicators.contract import Indicator, integer, number, price, text

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
