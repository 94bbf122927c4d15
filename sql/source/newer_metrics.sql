-- The futures metrics of one interval that are later than a moment (PostgreSQL, sent by ConnectorX, which cannot bind).
-- grain:   one row per (symbol, bucket_ts), at most {rows} per symbol
-- columns: as in metrics.sql
-- Late symbols have a moment of their own. Each symbol's rows come off the index on (symbol, time), as in metrics.sql.
WITH RECURSIVE symbols (symbol) AS (
    {symbols}
),

late (symbol, since) AS (
    VALUES {late}
)

SELECT
    newest.symbol::text AS symbol,
    newest.{time} AT TIME ZONE 'UTC' AS bucket_ts,
    {values},
    newest.{closed}::int::double precision AS is_closed
FROM (SELECT symbol FROM symbols UNION SELECT symbol FROM late) AS wanted
LEFT JOIN late ON late.symbol = wanted.symbol
CROSS JOIN LATERAL (
    SELECT *
    FROM market_data.{relation} AS m
    WHERE m.symbol = wanted.symbol
        AND m.{time} > coalesce(late.since::timestamp, {after}::timestamp)
        AND m.{time} <= {until}::timestamp
    ORDER BY m.{time} DESC
    LIMIT {rows}
) AS newest
