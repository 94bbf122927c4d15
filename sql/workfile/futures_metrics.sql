-- The futures metrics of the pass, as an analyst sees them (DuckDB). The interval is an enumeration, as in candles.
-- grain:   one row per (symbol, interval, bucket_ts), at most 240 per symbol and interval
-- NULL:    where the source has NULL
CREATE TABLE futures_metrics (
    symbol VARCHAR NOT NULL,
    "interval" ENUM({intervals}) NOT NULL,
    bucket_ts TIMESTAMPTZ NOT NULL,
    open_interest DOUBLE,
    open_interest_value DOUBLE,
    top_trader_account_ratio DOUBLE,
    top_trader_position_ratio DOUBLE,
    global_account_ratio DOUBLE,
    taker_volume_ratio DOUBLE,
    is_closed BOOLEAN
)
