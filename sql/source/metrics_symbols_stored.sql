-- Symbols of a metrics table, by jumping from one to the next along the index on (symbol, time) (PostgreSQL).
-- grain:   one row per symbol with metrics in the window; a last row with NULL, which joins with nothing
SELECT min(symbol)
    FROM market_data.{relation}
    WHERE {time} > {after}::timestamp AND {time} <= {until}::timestamp
    UNION ALL
    SELECT (
        SELECT min(m.symbol)
        FROM market_data.{relation} AS m
        WHERE m.symbol > symbols.symbol AND m.{time} > {after}::timestamp AND m.{time} <= {until}::timestamp
    )
    FROM symbols
    WHERE symbols.symbol IS NOT NULL
