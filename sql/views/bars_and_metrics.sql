-- Every bar with the futures metrics of the same time.
-- grain:   one row per bar: (symbol, interval, bucket_ts)
-- NULL:    metrics that there are none of: at 1m, before the newest 240 rows, or where the source has NULL
CREATE VIEW bars_and_metrics AS
SELECT
    c.*,
    m.open_interest,
    m.open_interest_value,
    m.top_trader_account_ratio,
    m.top_trader_position_ratio,
    m.global_account_ratio,
    m.taker_volume_ratio
FROM candles AS c
LEFT JOIN futures_metrics AS m USING (symbol, "interval", bucket_ts)
