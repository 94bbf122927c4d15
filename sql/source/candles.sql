-- The bars of one interval for all symbols of a run (PostgreSQL, sent by ConnectorX, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: symbol, bucket_ts (UTC), the values as double precision: a NUMERIC would lose decimals on the way
-- NULL:    as the source has it
-- The time range is bounded here; the newest bars of each symbol are picked by the reader, which is cheaper than a
-- window function over all rows here.
SELECT symbol::text AS symbol, bucket_ts::timestamptz AS bucket_ts, {values}
FROM market_data.{relation}
WHERE exchange = {exchange}
    AND bucket_ts > {after}
    AND bucket_ts <= {until}
    AND {chosen}
