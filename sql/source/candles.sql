-- The bars of one interval for all symbols of a run (PostgreSQL, in bulk, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: symbol, bucket_ts (UTC), the values as NUMERIC or double precision (to be packed)
-- NULL:    as the source has it
-- The window is twice as long as the bars wanted, for the sake of series with gaps. Of a series that has them all in the
-- newer half nothing older is sent. The newest bars of each symbol are picked by the reader, which is cheaper than a
-- window function over all rows here. Complete series are looked for once: a subquery in the condition would be evaluated
-- again for every chunk.
WITH complete AS MATERIALIZED (
    SELECT symbol
    FROM market_data.{relation}
    WHERE exchange = {exchange}
        AND bucket_ts > {near}
        AND bucket_ts <= {counted}
        AND {chosen}
        AND symbol IS NOT NULL
    GROUP BY symbol
    HAVING count(DISTINCT bucket_ts) >= {lookback}
)

SELECT symbol::text AS symbol, bucket_ts::timestamptz AS bucket_ts, {values}
FROM market_data.{relation}
WHERE exchange = {exchange}
    AND bucket_ts > {after}
    AND bucket_ts <= {until}
    AND {chosen}
    AND (bucket_ts > {near} OR symbol NOT IN (SELECT symbol FROM complete))
