-- The words of the two newest rows of each series of a table (SQLite, through sqlite_query; the parameters are JSON lists:
-- intervals and symbols, each empty for all).
-- grain:   one row per (symbol, interval) and row, of each series the older first
-- columns: symbol, interval, data_time, w0, w1 and so on
-- As for other readers, the newest row of a series is the last one.
SELECT r.symbol, r.interval, r.data_time, {names}
FROM (
    SELECT
        "交易对" AS symbol,
        "周期" AS interval,
        "数据时间" AS data_time,
        {words},
        row_number() OVER (PARTITION BY "交易对", "周期" ORDER BY rowid DESC) AS place
    FROM {table}
    WHERE (json_array_length(?1) = 0 OR "周期" IN (SELECT value FROM json_each(?1)))
        AND (json_array_length(?2) = 0 OR "交易对" IN (SELECT value FROM json_each(?2)))
) AS r
WHERE r.place <= 2
ORDER BY r.place DESC
