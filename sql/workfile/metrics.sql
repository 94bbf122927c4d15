-- The futures metrics that the last run saw of one series (DuckDB).
-- grain:   one row per moment, the oldest first
-- reads:   futures_metrics; the parameters symbol and interval
-- columns: those of futures_metrics
SELECT *
FROM futures_metrics
WHERE symbol = $symbol AND "interval" = $interval
ORDER BY bucket_ts
