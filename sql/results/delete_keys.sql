-- Remove some rows (SQLite, through sqlite_query; the parameter is a JSON list of keys: symbol, interval, time).
-- grain:   one row per row removed
-- Runs inside SQLite, where the index on the keys is used; a DELETE of DuckDB's own would read the whole table.
DELETE FROM {table}
WHERE rowid IN (
    SELECT t.rowid
    FROM json_each(?) AS k
    CROSS JOIN {table} AS t
    WHERE t."交易对" COLLATE BINARY = json_extract(k.value, '$[0]')
        AND t."周期" COLLATE BINARY = json_extract(k.value, '$[1]')
        AND t."数据时间" COLLATE BINARY = json_extract(k.value, '$[2]')
)
RETURNING 1 AS removed
