-- The words of the two newest rows of each series of a table (SQLite, through sqlite_query; the parameters are JSON lists:
-- intervals and symbols, each empty for all).
-- grain:   one row per (symbol, interval) and row, of each series the older first
-- columns: symbol, interval, data_time, w0, w1 and so on
-- As for other readers, the newest row of a series is the last one. Nearly every series has two rows at the newest few times
-- of its interval, which the index finds; only those of the others are all looked at. That takes a quarter of the time.
WITH intervals AS MATERIALIZED (
    SELECT DISTINCT t."周期" AS interval
    FROM {table} AS t
    WHERE json_array_length(?1) = 0 OR t."周期" IN (SELECT value FROM json_each(?1))
),

since AS MATERIALIZED (
    SELECT
        i.interval,
        coalesce(
            (
                SELECT DISTINCT t."数据时间"
                FROM {table} AS t
                WHERE t."周期" = i.interval
                ORDER BY t."数据时间" DESC
                LIMIT 1 OFFSET 3
            ),
            ''
        ) AS data_time
    FROM intervals AS i
),

recent AS MATERIALIZED (
    SELECT
        t.rowid AS place,
        t."交易对" AS symbol,
        s.interval,
        row_number() OVER (PARTITION BY t."交易对", s.interval ORDER BY t.rowid DESC) AS n
    FROM since AS s
    JOIN {table} AS t ON t."周期" = s.interval AND t."数据时间" >= s.data_time
    WHERE json_array_length(?2) = 0 OR t."交易对" IN (SELECT value FROM json_each(?2))
),

done AS MATERIALIZED (
    SELECT symbol, interval FROM recent WHERE n = 2
),

others AS (
    SELECT
        t.rowid AS place,
        row_number() OVER (PARTITION BY t."交易对", t."周期" ORDER BY t.rowid DESC) AS n
    FROM {table} AS t
    WHERE t."周期" IN (SELECT interval FROM intervals)
        AND (json_array_length(?2) = 0 OR t."交易对" IN (SELECT value FROM json_each(?2)))
        AND NOT EXISTS (SELECT 1 FROM done AS d WHERE d.symbol = t."交易对" AND d.interval = t."周期")
),

chosen AS (
    SELECT r.place, r.n
    FROM recent AS r
    JOIN done AS d ON d.symbol = r.symbol AND d.interval = r.interval
    WHERE r.n <= 2
    UNION ALL
    SELECT o.place, o.n
    FROM others AS o
    WHERE o.n <= 2
)

SELECT t."交易对" AS symbol, t."周期" AS interval, t."数据时间" AS data_time, {words}
FROM chosen AS c
JOIN {table} AS t ON t.rowid = c.place
ORDER BY c.n DESC
