-- What symbols with fewer rows than wanted have before a window (PostgreSQL; joins metrics.sql in a UNION).
-- grain:   one row per (symbol, bucket_ts); with those of the window {rows} per symbol, if it has them
-- columns: as in metrics.sql
-- Each such symbol's rows come off the index on (symbol, time), the newest first. One without any row in the window has
-- to be known by name for that.
(
    WITH RECURSIVE symbols (symbol) AS (
        {symbols}
    ),

    recent AS (
        SELECT symbol, count(*) AS found
        FROM market_data.{relation}
        WHERE {time} > {near}::timestamp AND {time} <= {until}::timestamp
        GROUP BY symbol
    ),

    lacking AS (
        SELECT coalesce(symbols.symbol, recent.symbol) AS symbol, {rows} - coalesce(recent.found, 0) AS missing
        FROM symbols
        FULL JOIN recent ON recent.symbol = symbols.symbol
        WHERE coalesce(recent.found, 0) < {rows}
    )

    SELECT
        m.symbol::text AS symbol,
        m.{time} AT TIME ZONE 'UTC' AS bucket_ts,
        {values},
        m.{closed}::int::double precision AS is_closed
    FROM lacking
    CROSS JOIN LATERAL (
        SELECT *
        FROM market_data.{relation} AS older
        WHERE older.symbol = lacking.symbol
            AND older.{time} > {after}::timestamp
            AND older.{time} <= {near}::timestamp
        ORDER BY older.{time} DESC
        LIMIT lacking.missing
    ) AS m
)
