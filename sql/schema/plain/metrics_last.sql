-- Futures metrics of a coarser interval: the last 5m row of each bucket (PostgreSQL).
-- grain:   one row per (symbol, bucket); weeks start on Monday
-- NULL:    as the last row has it
CREATE VIEW market_data.{view} AS
SELECT
    symbol,
    date_bin({bucket}, create_time, TIMESTAMP '2000-01-03 00:00:00') AS bucket,
    (array_agg(sum_open_interest ORDER BY create_time DESC))[1] AS sum_open_interest,
    (array_agg(sum_open_interest_value ORDER BY create_time DESC))[1] AS sum_open_interest_value,
    (array_agg(count_toptrader_long_short_ratio ORDER BY create_time DESC))[1] AS count_toptrader_long_short_ratio,
    (array_agg(sum_toptrader_long_short_ratio ORDER BY create_time DESC))[1] AS sum_toptrader_long_short_ratio,
    (array_agg(count_long_short_ratio ORDER BY create_time DESC))[1] AS count_long_short_ratio,
    (array_agg(sum_taker_long_short_vol_ratio ORDER BY create_time DESC))[1] AS sum_taker_long_short_vol_ratio,
    count(*) AS points,
    bool_and(is_closed) AS complete
FROM market_data.binance_futures_metrics_5m
GROUP BY 1, 2
