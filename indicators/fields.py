"""What bars and metrics have: the names of their fields, in their order."""

BAR_FIELDS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
METRIC_FIELDS = (
    "open_interest",
    "open_interest_value",
    "top_trader_account_ratio",
    "top_trader_position_ratio",
    "global_account_ratio",
    "taker_volume_ratio",
    "is_closed",
)
