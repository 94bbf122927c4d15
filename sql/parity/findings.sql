-- The departures of a table, put together (DuckDB).
-- grain:   one row per kind, interval and column
-- reads:   departures
-- columns: kind, interval, position of the column; departures: how many; symbols: how many symbols have some;
--          foremost: the ten symbols with the most; largest: the largest relative departure of numbers;
--          example: the row with it
WITH by_symbol AS (
    SELECT
        kind,
        "interval",
        position,
        symbol,
        count(*) AS departures,
        max(relative) AS largest,
        first(
            {'time': data_time, 'a': a, 'b': b} ORDER BY relative DESC NULLS LAST, data_time
        ) AS example
    FROM departures
    GROUP BY ALL
)

SELECT
    kind,
    "interval",
    position,
    CAST(sum(departures) AS BIGINT) AS departures,
    count(*) AS symbols,
    list({'symbol': symbol, 'departures': departures} ORDER BY departures DESC, symbol)[:10] AS foremost,
    max(largest) AS largest,
    first(
        {'symbol': symbol, 'time': example.time, 'a': shown(example.a), 'b': shown(example.b)}
        ORDER BY largest DESC NULLS LAST, symbol
    ) AS example
FROM by_symbol
GROUP BY ALL
ORDER BY kind, "interval", position
