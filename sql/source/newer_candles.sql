-- The bars of one interval that are later than a moment (PostgreSQL, sent by ConnectorX, which cannot bind).
-- grain:   one row per (symbol, bucket_ts)
-- columns: as in candles.sql
-- Late symbols have a moment of their own, and nobody else's rows are read for their sake: what such a symbol has before
-- the common moment comes off the index on (exchange, symbol, time).
SELECT bars.symbol::text AS symbol, bars.bucket_ts::timestamptz AS bucket_ts, {values}
FROM market_data.{relation} AS bars
WHERE bars.exchange = {exchange}
    AND bars.bucket_ts > {since}
    AND bars.bucket_ts <= {until}
    AND {chosen}
UNION ALL
SELECT bars.symbol::text AS symbol, bars.bucket_ts::timestamptz AS bucket_ts, {values}
FROM (VALUES {late}) AS late (symbol, since)
CROSS JOIN LATERAL (
    SELECT *
    FROM market_data.{relation} AS b
    WHERE b.exchange = {exchange}
        AND b.symbol = late.symbol
        AND b.bucket_ts > late.since::timestamptz
        AND b.bucket_ts <= {since}
) AS bars
