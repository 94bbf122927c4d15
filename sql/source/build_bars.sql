-- Bars of an interval out of pieces of them (DuckDB).
-- grain:   one row per (symbol, bucket); buckets start where the service's own do, weeks on Monday, all in UTC
-- reads:   pieces (symbol, bucket_ts, values), each of which is of one bucket, and of a time that no other is of
-- NULL:    sums skip NULL and are NULL where all are
-- A bucket that starts before the window is left out: its own first minutes lie outside.
WITH bucketed AS (
    SELECT
        * RENAME (bucket_ts AS begin),
        time_bucket(CAST($bucket AS INTERVAL), bucket_ts AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS bucket_ts
    FROM pieces
)

SELECT
    symbol,
    bucket_ts,
    arg_min(open, begin) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, begin) AS close,
    sum(volume) AS volume,
    sum(quote_volume) AS quote_volume,
    sum(trade_count) AS trade_count,
    sum(taker_buy_volume) AS taker_buy_volume,
    sum(taker_buy_quote_volume) AS taker_buy_quote_volume
FROM bucketed
WHERE bucket_ts > $after AND bucket_ts <= $until
GROUP BY symbol, bucket_ts
