"""What bars and metrics have: the names of their fields, in their order. It loads nothing, as sources need no more."""

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
#: Newest rows of the metrics of a symbol that indicators look at, at most.
METRICS_ROWS = 240
