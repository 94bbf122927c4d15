-- The futures metrics of one interval in a window (PostgreSQL, in bulk, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: symbol, bucket_ts (UTC), the values as NUMERIC or double precision, is_closed (to be packed)
-- NULL:    as the source has it
-- The times are timestamps without time zone, in UTC by convention.
SELECT
    m.symbol::text AS symbol,
    m.{time} AT TIME ZONE 'UTC' AS bucket_ts,
    {values},
    m.{closed}::int::double precision AS is_closed
FROM market_data.{relation} AS m
WHERE m.{time} > {after}::timestamp
    AND m.{time} <= {until}::timestamp
    AND m.symbol IS NOT NULL
