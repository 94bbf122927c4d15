-- Symbols of a metrics view, which has no index to jump along (PostgreSQL).
-- grain:   one row per symbol with metrics in the window
SELECT DISTINCT symbol
    FROM market_data.{relation}
    WHERE {time} > {after}::timestamp AND {time} <= {until}::timestamp
