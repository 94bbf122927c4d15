-- The newest futures metrics of each symbol in a window (PostgreSQL; a part of auto_symbols).
-- grain:   one row per symbol
-- Each symbol's row comes off the index on (symbol, time).
WITH RECURSIVE symbols (symbol) AS (
        {symbols}
    )

    SELECT
        newest.symbol,
        newest.sum_open_interest_value AS value,
        newest.sum_taker_long_short_vol_ratio AS taker,
        newest.count_long_short_ratio AS account
    FROM symbols
    CROSS JOIN LATERAL (
        SELECT *
        FROM market_data.{relation} AS m
        WHERE m.symbol = symbols.symbol AND m.{time} > {after}::timestamp AND m.{time} <= {until}::timestamp
        ORDER BY m.{time} DESC
        LIMIT 1
    ) AS newest
