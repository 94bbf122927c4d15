-- Intervals in which something may fall out of the retention (SQLite, through sqlite_query; the parameter is a JSON list of
-- interval and time).
-- grain:   one row per interval that has a row at that time or before
-- columns: interval
-- One step in the index per interval.
SELECT json_extract(k.value, '$[0]') AS interval
FROM json_each(?) AS k
WHERE EXISTS (
    SELECT 1
    FROM {table} AS t
    WHERE t."周期" COLLATE BINARY = json_extract(k.value, '$[0]')
        AND t."数据时间" COLLATE BINARY <= json_extract(k.value, '$[1]')
)
