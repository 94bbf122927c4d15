-- Which of some rows have values (SQLite, through sqlite_query; the parameter is a JSON list of rowids).
-- grain:   one row per rowid
SELECT t.rowid AS place
FROM {table} AS t
WHERE t.rowid IN (SELECT value FROM json_each(?)) AND coalesce({values}) IS NOT NULL
