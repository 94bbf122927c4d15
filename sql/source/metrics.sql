-- The newest futures metrics of every symbol at one interval (PostgreSQL, sent by ConnectorX, which cannot bind).
-- grain:   one row per (symbol, bucket_ts), at most {rows} per symbol
-- columns: symbol, bucket_ts (UTC), the values as NUMERIC or double precision, is_closed (to be packed)
-- NULL:    as the source has it
-- A month of 5m metrics has 8,640 rows per symbol, of which 240 are wanted: each symbol's newest rows come off the
-- index on (symbol, time) instead. The times are timestamps without time zone, in UTC by convention.
WITH RECURSIVE symbols (symbol) AS (
    {symbols}
)

SELECT
    newest.symbol::text AS symbol,
    newest.{time} AT TIME ZONE 'UTC' AS bucket_ts,
    {values},
    newest.{closed}::int::double precision AS is_closed
FROM symbols
CROSS JOIN LATERAL (
    SELECT *
    FROM market_data.{relation} AS m
    WHERE m.symbol = symbols.symbol
        AND m.{time} > {after}::timestamp
        AND m.{time} <= {until}::timestamp
    ORDER BY m.{time} DESC
    LIMIT {rows}
) AS newest
