-- Rows of a pair that are newer than the one just written get larger rowids (SQLite, through sqlite_query; the parameter
-- is a JSON list of keys), because readers take the largest rowid of a pair for its newest bar.
-- grain:   one row per row moved; none unless the run looked from a moment before the newest row
-- They move close up behind the last row, in their order, so that rowids grow by the rows moved and no faster.
UPDATE {table}
SET rowid = moved.place + (SELECT max(rowid) FROM {table})
FROM (
    SELECT t.rowid AS old, row_number() OVER (ORDER BY t."数据时间", t.rowid) AS place
    FROM json_each(?) AS k
    CROSS JOIN {table} AS t
    WHERE t."交易对" = json_extract(k.value, '$[0]')
        AND t."周期" = json_extract(k.value, '$[1]')
        AND t."数据时间" > json_extract(k.value, '$[2]')
) AS moved
WHERE {table}.rowid = moved.old
RETURNING 1 AS moved
