-- The bars that the last run saw at one interval (DuckDB).
-- grain:   one row per (symbol, bucket_ts), by symbol, the oldest first
-- reads:   candles; the parameter interval
-- columns: those of candles
SELECT *
FROM candles
WHERE "interval" = $interval
ORDER BY symbol, bucket_ts
