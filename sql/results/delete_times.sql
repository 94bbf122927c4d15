-- Remove all rows of some times that have a key (SQLite, through sqlite_query; the parameter is a JSON list of interval and
-- time).
-- grain:   one row per row removed
-- The rows of a time lie together in the index and in the table.
DELETE FROM {table}
WHERE rowid IN (
    SELECT t.rowid
    FROM json_each(?) AS k
    CROSS JOIN {table} AS t
    WHERE t."周期" COLLATE BINARY = json_extract(k.value, '$[0]')
        AND t."数据时间" COLLATE BINARY = json_extract(k.value, '$[1]')
        AND typeof(t."交易对") = 'text'
)
RETURNING 1 AS removed
