-- Candles of a coarser interval, kept up to date and complete up to the newest 1m bar (TimescaleDB).
-- grain:   one row per (exchange, symbol, bucket_ts), in UTC; weeks start on Monday
-- NULL:    sums skip NULL and are NULL where all are
-- WITH NO DATA: it is filled by refreshes, each a transaction of its own.
CREATE MATERIALIZED VIEW market_data.{view}
WITH (timescaledb.continuous, timescaledb.materialized_only = FALSE) AS
SELECT
    exchange,
    symbol,
    {extension}.time_bucket({bucket}::interval, bucket_ts) AS bucket_ts,
    {extension}.first(open, bucket_ts) AS open,
    max(high) AS high,
    min(low) AS low,
    {extension}.last(close, bucket_ts) AS close,
    sum(volume) AS volume,
    sum(quote_volume) AS quote_volume,
    sum(trade_count) AS trade_count,
    bool_and(is_closed) AS is_closed,
    max(source) AS source,
    max(ingested_at) AS ingested_at,
    max(updated_at) AS updated_at,
    sum(taker_buy_volume) AS taker_buy_volume,
    sum(taker_buy_quote_volume) AS taker_buy_quote_volume
FROM market_data.candles_1m
GROUP BY exchange, symbol, {extension}.time_bucket({bucket}::interval, bucket_ts)
WITH NO DATA
