-- The bars that the last pass kept of one interval, in the form in which the source gives them (DuckDB).
-- grain:   one row per (symbol, bucket_ts)
-- reads:   candles; the parameters exchange and interval
-- columns: symbol, bucket_ts, the fields of a bar as doubles
SELECT symbol, bucket_ts, {fields}
FROM candles
WHERE exchange = $exchange AND "interval" = $interval
