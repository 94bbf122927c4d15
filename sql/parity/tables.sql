-- What a result database holds (SQLite, through sqlite_query).
-- grain:   one row per column of a table, in its order; views and SQLite's own tables are left out
-- columns: tbl, ordered (its rows have rowids, so that the last one of a key is known), col
SELECT t.name AS tbl, NOT t.wr AS ordered, c.name AS col
FROM pragma_table_list AS t
JOIN pragma_table_info(t.name) AS c
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY t.name, c.cid
