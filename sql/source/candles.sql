-- The bars of one interval for all symbols of a run (PostgreSQL, sent by ConnectorX, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: symbol, bucket_ts (UTC), the values as NUMERIC or double precision (to be packed, or as doubles alone)
-- NULL:    as the source has it
-- The window is twice as long as the bars wanted, for the sake of series with gaps. Of a series that has them all in the
-- newer half nothing older is sent. The newest bars of each symbol are picked by the reader, which is cheaper than a
-- window function over all rows here.
SELECT symbol::text AS symbol, bucket_ts::timestamptz AS bucket_ts, {values}
FROM market_data.{relation}
WHERE exchange = {exchange}
    AND bucket_ts > {after}
    AND bucket_ts <= {until}
    AND {chosen}
    AND (
        bucket_ts > {near}
        OR symbol NOT IN (
            SELECT symbol
            FROM market_data.{relation}
            WHERE exchange = {exchange}
                AND bucket_ts > {near}
                AND bucket_ts <= {until}
                AND symbol IS NOT NULL
            GROUP BY symbol
            HAVING count(DISTINCT bucket_ts) >= {lookback}
        )
    )
