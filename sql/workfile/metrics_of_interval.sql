-- The futures metrics that the last run saw at one interval (DuckDB).
-- grain:   one row per (symbol, bucket_ts), by symbol, the oldest first
-- reads:   futures_metrics; the parameter interval
-- columns: those of futures_metrics
SELECT *
FROM futures_metrics
WHERE "interval" = $interval
ORDER BY symbol, bucket_ts
