-- The tables of a database and their columns (SQLite, through sqlite_query).
-- grain:   one row per column of a table that is not SQLite's own, in its order
-- columns: tbl, col
SELECT m.name AS tbl, c.name AS col
FROM sqlite_master AS m
JOIN pragma_table_xinfo(m.name) AS c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY m.name, c.cid
