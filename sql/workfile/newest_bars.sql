-- The newest bar of each series, with the close of the bar before it (DuckDB).
-- grain:   one row per (symbol, interval)
-- reads:   candles
-- columns: symbol, interval, bucket_ts, close; before, NULL where there is one bar alone
SELECT
    symbol,
    CAST("interval" AS VARCHAR) AS "interval",
    max(bucket_ts) AS bucket_ts,
    max_by(close, bucket_ts) AS close,
    max_by(close, bucket_ts, 2)[2] AS before
FROM candles
GROUP BY ALL
