-- The bars that the last run saw of one series (DuckDB).
-- grain:   one row per bar, the oldest first
-- reads:   candles; the parameters symbol and interval
-- columns: those of candles
SELECT *
FROM candles
WHERE symbol = $symbol AND "interval" = $interval
ORDER BY bucket_ts
