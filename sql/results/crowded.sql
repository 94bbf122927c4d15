-- Intervals in which something may fall out of the retention (SQLite, through sqlite_query; the parameter is a JSON list of
-- interval, a time, and a time up to which others may be earlier than they look).
-- grain:   one row per interval that has a row at the first time or before, or one of another spelling before the second
-- columns: interval
-- One step in the index per interval, and one per time between the two, of which there are none in most intervals.
WITH RECURSIVE asked (interval, beyond, looked) AS (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(?1)
),

stepped (interval, looked, data_time) AS (
    SELECT interval, looked, beyond
    FROM asked
    WHERE beyond < looked
    UNION
    SELECT
        s.interval,
        s.looked,
        (
            SELECT t."数据时间"
            FROM {table} AS t
            WHERE t."周期" COLLATE BINARY = s.interval AND t."数据时间" COLLATE BINARY > s.data_time
            ORDER BY t."数据时间" COLLATE BINARY
            LIMIT 1
        )
    FROM stepped AS s
    WHERE s.data_time < s.looked
)

SELECT a.interval AS interval
FROM asked AS a
WHERE EXISTS (
    SELECT 1
    FROM {table} AS t
    WHERE t."周期" COLLATE BINARY = a.interval AND t."数据时间" COLLATE BINARY <= a.beyond
)
UNION
SELECT s.interval
FROM stepped AS s
WHERE s.data_time < s.looked AND substr(s.data_time, -6) <> '+00:00'
