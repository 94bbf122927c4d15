"""Futures: open interest and long/short ratios, from the metrics that exchanges publish beside the candles."""

from __future__ import annotations

from indicators.contract import Indicator, number

futures_sentiment = Indicator(
    id="futures_sentiment",
    table="期货情绪元数据.py",
    title="Futures sentiment",
    family="futures",
    mode="incremental",
    lookback=1,
    min_bars=1,
    inputs=(
        "open_interest",
        "open_interest_value",
        "top_trader_account_ratio",
        "top_trader_position_ratio",
        "global_account_ratio",
        "taker_volume_ratio",
    ),
    columns=(
        number("持仓张数", "open_interest", "open interest", unit="base"),
        number("持仓金额", "open_interest_value", "open interest in money", unit="quote"),
        number(
            "大户多空比样本", "top_trader_account_ratio", "long/short ratio of top traders by account", unit="ratio"
        ),
        number(
            "大户多空比总和", "top_trader_position_ratio", "long/short ratio of top traders by position", unit="ratio"
        ),
        number("全体多空比样本", "global_account_ratio", "long/short ratio of all accounts", unit="ratio"),
        number("主动成交多空比总和", "taker_volume_ratio", "buy/sell ratio of taker volume", unit="ratio"),
        number("大户多空比", "top_trader_ratio", "the same as top_trader_position_ratio", unit="ratio"),
        number("全体多空比", "global_ratio", "the same as global_account_ratio", unit="ratio"),
        number("主动成交多空比", "taker_ratio", "the same as taker_volume_ratio", unit="ratio"),
    ),
    formula="the newest metrics row of the symbol within 30 days",
    source="metrics",
)
