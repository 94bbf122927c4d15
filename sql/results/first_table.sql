-- One of our tables (SQLite, through sqlite_query; the parameter is a JSON list of names).
-- grain:   one row, or none
SELECT m.name AS tbl
FROM sqlite_master AS m
WHERE m.type = 'table' AND m.rootpage > 0 AND m.name IN (SELECT value FROM json_each(?))
LIMIT 1
