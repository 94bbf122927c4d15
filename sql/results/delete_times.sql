-- Remove all rows of some times (SQLite, through sqlite_query; the parameter is a JSON list of interval and time).
-- grain:   one row per row removed
-- The rows of a time lie together in the index and in the table.
DELETE FROM {table}
WHERE ("周期", "数据时间") IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))
RETURNING 1 AS removed
