-- Rows of a pair that are newer than the one just written get larger rowids (SQLite, through sqlite_query; the parameter
-- is a JSON list of keys), because readers take the largest rowid of a pair for its newest bar.
-- grain:   one row per row moved; none unless the run looked from a moment before the newest row
UPDATE {table}
SET rowid = rowid + (SELECT max(rowid) FROM {table})
WHERE rowid IN (
    SELECT t.rowid
    FROM json_each(?) AS k
    CROSS JOIN {table} AS t
    WHERE t."交易对" = json_extract(k.value, '$[0]')
        AND t."周期" = json_extract(k.value, '$[1]')
        AND t."数据时间" > json_extract(k.value, '$[2]')
)
RETURNING 1 AS moved
