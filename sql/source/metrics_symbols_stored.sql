-- Symbols of a metrics table, by jumping from one to the next along the index on (symbol, time) (PostgreSQL).
-- grain:   one row per symbol; a last row with NULL, which joins with nothing
SELECT min(symbol) FROM market_data.{relation}
    UNION ALL
    SELECT (SELECT min(m.symbol) FROM market_data.{relation} AS m WHERE m.symbol > symbols.symbol)
    FROM symbols
    WHERE symbols.symbol IS NOT NULL
