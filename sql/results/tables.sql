-- What the result database has under our tables' names (SQLite, through sqlite_query; the parameter is a JSON list of names).
-- grain:   one row per column of a table or view, in its order; one without a column where SQLite cannot read it
-- columns: tbl, kind (table, view, virtual, keyless: a table without rowids), indexed (an index begins with the key, time
--          before symbol), acts (table: what was sent may not be what stands there then, as constraints ignore or replace;
--          all: a trigger acts on whatever it likes), unread (it has indexes that SQLite cannot read), col, declared type,
--          hidden (not 0: generated)
-- The index of a table without rowids has no column -1, which is the rowid.
WITH known AS MATERIALIZED (
    SELECT
        n.value AS tbl,
        m.name AS name,
        CASE
            WHEN m.type = 'view' THEN 'view'
            WHEN m.rootpage = 0 THEN 'virtual'
            WHEN EXISTS (
                SELECT 1
                FROM pragma_index_list(m.name) AS i
                WHERE NOT EXISTS (SELECT 1 FROM pragma_index_xinfo(i.name) AS x WHERE x.cid = -1)
            ) THEN 'keyless'
            ELSE 'table'
        END AS kind,
        EXISTS (
            SELECT 1
            FROM pragma_index_list(m.name) AS i
            WHERE i.partial = 0
                AND (SELECT group_concat(k.name, ',') FROM (SELECT name FROM pragma_index_info(i.name) LIMIT 3) AS k)
                = '周期,数据时间,交易对'
        ) AS indexed,
        CASE
            WHEN EXISTS (SELECT 1 FROM beside AS g WHERE g.type = 'trigger' AND g.tbl = lower(m.name)) THEN 'all'
            WHEN m.sql LIKE '%conflict%' THEN 'table'
            ELSE ''
        END AS acts,
        (SELECT count(*) FROM beside AS i WHERE i.type = 'index' AND i.tbl = lower(m.name))
        <> (SELECT count(*) FROM pragma_index_list(m.name)) AS unread
    FROM json_each(?) AS n
    JOIN sqlite_master AS m ON m.name = n.value COLLATE NOCASE AND m.type IN ('table', 'view')
),

beside AS MATERIALIZED (
    SELECT type, lower(tbl_name) AS tbl FROM sqlite_master WHERE type IN ('trigger', 'index')
)

SELECT k.tbl, k.kind, k.indexed, k.acts, k.unread, c.name AS col, c.type AS declared, c.hidden AS hidden
FROM known AS k
LEFT JOIN pragma_table_xinfo(k.name) AS c
ORDER BY k.tbl, c.cid
