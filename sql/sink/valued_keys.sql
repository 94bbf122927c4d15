-- Which keys already have a row with values (SQLite, through sqlite_query; the parameter is a JSON list of keys).
-- grain:   one row per key
SELECT
    json_extract(k.value, '$[0]') AS symbol,
    json_extract(k.value, '$[1]') AS interval,
    json_extract(k.value, '$[2]') AS data_time
FROM json_each(?) AS k
WHERE EXISTS (
    SELECT 1
    FROM {table} AS t
    WHERE t."交易对" = json_extract(k.value, '$[0]')
        AND t."周期" = json_extract(k.value, '$[1]')
        AND t."数据时间" = json_extract(k.value, '$[2]')
        AND coalesce({values}) IS NOT NULL
)
