-- The symbols that have candles of one interval in a window (PostgreSQL, in bulk; windows come as a UNION).
-- grain:   one row per symbol
SELECT DISTINCT symbol::text AS symbol
FROM market_data.{relation}
WHERE exchange = {exchange} AND bucket_ts > {after} AND bucket_ts <= {until} AND symbol IS NOT NULL
