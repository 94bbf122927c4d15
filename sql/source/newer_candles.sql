-- The bars of one interval in a window (PostgreSQL, in bulk, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: symbol, bucket_ts (UTC), the values as NUMERIC or double precision (to be packed)
-- NULL:    as the source has it
SELECT bars.symbol::text AS symbol, bars.bucket_ts::timestamptz AS bucket_ts, {values}
FROM market_data.{relation} AS bars
WHERE bars.exchange = {exchange}
    AND bars.bucket_ts > {after}
    AND bars.bucket_ts <= {until}
    AND {chosen}
