-- Keep the newest {keep} rows of each pair (SQLite, through sqlite_query; the parameter is a JSON list of symbol and
-- interval).
-- grain:   one row per row removed
-- The oldest row to keep is found by walking the index, so the cost grows with the rows kept, not with the table.
DELETE FROM {table}
WHERE rowid IN (
    SELECT t.rowid
    FROM json_each(?) AS k
    CROSS JOIN {table} AS t
    WHERE t."交易对" = json_extract(k.value, '$[0]')
        AND t."周期" = json_extract(k.value, '$[1]')
        AND t."数据时间" < (
            SELECT o."数据时间"
            FROM {table} AS o
            WHERE o."交易对" = json_extract(k.value, '$[0]') AND o."周期" = json_extract(k.value, '$[1]')
            ORDER BY o."数据时间" DESC
            LIMIT 1 OFFSET {keep} - 1
        )
)
RETURNING 1 AS removed
