-- The newest words of one indicator (DuckDB).
-- grain:   one row per (symbol, interval)
-- columns: symbol, interval, bucket_ts, then the columns of words
SELECT symbol, "interval", bucket_ts, {words}
FROM {indicator}
