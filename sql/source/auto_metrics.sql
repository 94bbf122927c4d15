-- The newest futures metrics of each symbol in a window (PostgreSQL; a part of auto_symbols).
-- grain:   one row per symbol
-- NULL:    NaN counts as NULL
-- Each symbol's row comes off the index on (symbol, time).
WITH RECURSIVE symbols (symbol) AS (
        {symbols}
    )

    SELECT
        newest.symbol,
        CASE WHEN newest.value <> 'NaN'::float8 THEN newest.value END AS value,
        CASE WHEN newest.taker <> 'NaN'::float8 THEN newest.taker END AS taker,
        CASE WHEN newest.account <> 'NaN'::float8 THEN newest.account END AS account
    FROM symbols
    CROSS JOIN LATERAL (
        SELECT
            m.symbol,
            m.sum_open_interest_value AS value,
            m.sum_taker_long_short_vol_ratio AS taker,
            m.count_long_short_ratio AS account
        FROM market_data.{relation} AS m
        WHERE m.symbol = symbols.symbol AND m.{time} > {after}::timestamp AND m.{time} <= {until}::timestamp
        ORDER BY m.{time} DESC
        LIMIT 1
    ) AS newest
