-- Remove some rows (SQLite, through sqlite_query; the parameter is a JSON list of rowids).
-- grain:   one row per row removed
DELETE FROM {table}
WHERE rowid IN (SELECT value FROM json_each(?))
RETURNING 1 AS removed
