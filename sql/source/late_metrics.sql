-- The futures metrics of symbols that are late, each from a moment of its own on (PostgreSQL; joins metrics.sql).
-- grain:   one row per (symbol, bucket_ts), at most {rows} per symbol
-- columns: as in metrics.sql
-- Each symbol's rows come off the index on (symbol, time). The earliest moment is said once more as a constant, by which
-- the planner leaves out chunks.
SELECT
    m.symbol::text AS symbol,
    m.{time} AT TIME ZONE 'UTC' AS bucket_ts,
    {values},
    m.{closed}::int::double precision AS is_closed
FROM (VALUES {late}) AS late (symbol, since)
CROSS JOIN LATERAL (
    SELECT *
    FROM market_data.{relation} AS own
    WHERE own.symbol = late.symbol
        AND own.{time} > late.since::timestamp
        AND own.{time} > {earliest}::timestamp
        AND own.{time} <= {until}::timestamp
    ORDER BY own.{time} DESC
    LIMIT {rows}
) AS m
