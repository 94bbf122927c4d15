-- The newest futures metrics of each symbol.
-- grain:   one row per series of metrics
-- reads:   metrics (series, rn = 1 for the newest row, and its values)
-- columns: see the declaration of futures_sentiment
-- NULL:    where the source has NULL; 0 stays 0
-- Why SQL: it copies one row.
SELECT
    series,
    open_interest,
    open_interest_value,
    top_trader_account_ratio,
    top_trader_position_ratio,
    global_account_ratio,
    taker_volume_ratio,
    top_trader_position_ratio AS top_trader_ratio,
    global_account_ratio AS global_ratio,
    taker_volume_ratio AS taker_ratio
FROM metrics
WHERE rn = 1
