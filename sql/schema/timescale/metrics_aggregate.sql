-- Futures metrics of a coarser interval: the last 5m row of each bucket (TimescaleDB).
-- grain:   one row per (symbol, bucket); weeks start on Monday
-- NULL:    as the last row has it
CREATE MATERIALIZED VIEW market_data.{view}
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
SELECT
    symbol,
    {extension}.time_bucket({bucket}::interval, create_time) AS bucket,
    {extension}.last(sum_open_interest, create_time) AS sum_open_interest,
    {extension}.last(sum_open_interest_value, create_time) AS sum_open_interest_value,
    {extension}.last(count_toptrader_long_short_ratio, create_time) AS count_toptrader_long_short_ratio,
    {extension}.last(sum_toptrader_long_short_ratio, create_time) AS sum_toptrader_long_short_ratio,
    {extension}.last(count_long_short_ratio, create_time) AS count_long_short_ratio,
    {extension}.last(sum_taker_long_short_vol_ratio, create_time) AS sum_taker_long_short_vol_ratio,
    count(*) AS points,
    bool_and(is_closed) AS complete
FROM market_data.binance_futures_metrics_5m
GROUP BY symbol, {extension}.time_bucket({bucket}::interval, create_time)
WITH NO DATA
