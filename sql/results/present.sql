-- Rows that are not older than those about to be written (SQLite, through sqlite_query; the parameter is a JSON list of
-- interval, oldest time to write, and the date of the day before).
-- grain:   one row per time of the rows of the table with a key, in an interval that is asked for, whose text is not below
--          the oldest time, or is spelled another way and not below the date
-- columns: interval, data_time (as it stands there), symbols and places (JSON lists of the rows' symbols and rowids)
-- In the usual run these are the rows of the forming bar, or none: they lie together at the end of each interval's index.
-- An offset moves a text by less than a day. The times of that day are gone through in steps, each one look into the index.
WITH RECURSIVE asked (interval, oldest, day_before) AS (
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
    FROM json_each(?1)
),

stepped (interval, oldest, data_time) AS (
    SELECT
        a.interval,
        a.oldest,
        (
            SELECT t."数据时间"
            FROM {table} AS t
            WHERE t."周期" COLLATE BINARY = a.interval AND t."数据时间" COLLATE BINARY >= a.day_before
            ORDER BY t."数据时间" COLLATE BINARY
            LIMIT 1
        )
    FROM asked AS a
    UNION
    SELECT
        s.interval,
        s.oldest,
        (
            SELECT t."数据时间"
            FROM {table} AS t
            WHERE t."周期" COLLATE BINARY = s.interval AND t."数据时间" COLLATE BINARY > s.data_time
            ORDER BY t."数据时间" COLLATE BINARY
            LIMIT 1
        )
    FROM stepped AS s
    WHERE s.data_time < s.oldest
)

SELECT
    a.interval AS interval,
    t."数据时间" AS data_time,
    json_group_array(t."交易对") AS symbols,
    json_group_array(t.rowid) AS places
FROM asked AS a
CROSS JOIN {table} AS t
WHERE t."周期" COLLATE BINARY = a.interval
    AND t."数据时间" COLLATE BINARY >= a.oldest
    AND typeof(t."数据时间") = 'text'
    AND typeof(t."交易对") = 'text'
GROUP BY a.interval, t."数据时间" COLLATE BINARY
UNION ALL
SELECT s.interval, t."数据时间", json_group_array(t."交易对"), json_group_array(t.rowid)
FROM stepped AS s
CROSS JOIN {table} AS t
WHERE s.data_time < s.oldest
    AND substr(s.data_time, -6) <> '+00:00'
    AND t."周期" COLLATE BINARY = s.interval
    AND t."数据时间" COLLATE BINARY = s.data_time
    AND typeof(t."交易对") = 'text'
GROUP BY s.interval, t."数据时间" COLLATE BINARY
