-- The floor of reading: the futures metrics that a pass keeps, as a plain reader asks for them (PostgreSQL, by COPY).
-- grain:   one row per (symbol, {time}), the newest {rows} that are younger than the window; no gaps
-- cast:    ::double precision, or nothing for the values as they are stored
SELECT
    symbol,
    {time},
    sum_open_interest{cast},
    sum_open_interest_value{cast},
    count_toptrader_long_short_ratio{cast},
    sum_toptrader_long_short_ratio{cast},
    count_long_short_ratio{cast},
    sum_taker_long_short_vol_ratio{cast},
    {closed}
FROM market_data.{relation}
WHERE {time} > greatest({newest}::timestamp - {rows} * {length}::interval, {window}::timestamp)
    AND {time} <= {newest}::timestamp
