-- What the result database has under our tables' names (SQLite, through sqlite_query; the parameter is a JSON list of names).
-- grain:   one row per column of a table or view, in its order
-- columns: tbl, kind (table or view), indexed (an index begins with the key, time before symbol), col, declared type
SELECT
    m.name AS tbl,
    m.type AS kind,
    EXISTS (
        SELECT 1
        FROM pragma_index_list(m.name) AS i
        WHERE (SELECT group_concat(k.name, ',') FROM (SELECT name FROM pragma_index_info(i.name) LIMIT 3) AS k)
            = '周期,数据时间,交易对'
    ) AS indexed,
    c.name AS col,
    c.type AS declared
FROM sqlite_master AS m
JOIN pragma_table_info(m.name) AS c
WHERE m.type IN ('table', 'view') AND m.name IN (SELECT value FROM json_each(?))
ORDER BY m.name, c.cid
