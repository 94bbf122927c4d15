-- Keys beyond the retention, of the pairs just written (DuckDB).
-- grain:   one row per key
-- reads:   {by_time} (interval, data_time, symbols), to_write, retention (interval, keep)
-- columns: symbol, interval, data_time
-- Nearly all times have the same list of symbols, so whole lists are counted before they are taken apart.
WITH ranked AS (
    SELECT times.*, keep, row_number() OVER (PARTITION BY interval ORDER BY data_time DESC) <= keep AS recent
    FROM ({by_time}) AS times
    JOIN retention USING (interval)
),

lists AS (
    SELECT interval, symbols, count(*) AS times
    FROM ranked
    WHERE recent
    GROUP BY interval, symbols
),

listed AS (
    SELECT interval, times, unnest(from_json(symbols, '["VARCHAR"]')) AS symbol
    FROM lists
),

counts AS (
    SELECT interval, symbol, sum(times) AS rows
    FROM listed
    GROUP BY interval, symbol
),

older AS (
    SELECT interval, data_time, keep, unnest(from_json(symbols, '["VARCHAR"]')) AS symbol
    FROM ranked
    WHERE NOT recent
)

SELECT older.symbol, older.interval, older.data_time
FROM older
LEFT JOIN counts ON counts.interval = older.interval AND counts.symbol = older.symbol
WHERE (older.symbol, older.interval) IN (SELECT "交易对", "周期" FROM to_write)
QUALIFY row_number() OVER (PARTITION BY older.interval, older.symbol ORDER BY older.data_time DESC)
    > older.keep - coalesce(counts.rows, 0)
