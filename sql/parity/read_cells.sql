-- Values of some rows of one table of one database (SQLite, through sqlite_query; the parameter is a JSON list of rowids).
-- grain:   one row per rowid
-- columns: side (a or b), place (the rowid), c0, c1 and so on: the columns that both databases have, each as exact text
SELECT {side} AS side, _rowid_ AS place, {cells}
FROM {table}
WHERE _rowid_ IN (SELECT value FROM json_each(?))
