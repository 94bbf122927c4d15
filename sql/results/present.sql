-- Rows that are not older than those about to be written (SQLite, through sqlite_query; the parameter is a JSON list of
-- interval and oldest time to write).
-- grain:   one row per row of the table, in an interval that is asked for, from the time given on
-- columns: place (the rowid), symbol, interval, data_time
-- In the usual run these are the rows of the forming bar, or none: they lie together at the end of each interval's index.
SELECT
    t.rowid AS place,
    t."交易对" AS symbol,
    t."周期" AS interval,
    t."数据时间" AS data_time
FROM json_each(?) AS k
CROSS JOIN {table} AS t
WHERE t."周期" = json_extract(k.value, '$[0]') AND t."数据时间" >= json_extract(k.value, '$[1]')
