-- The symbols at each time of one interval (SQLite, through sqlite_query).
-- grain:   one row per text that is a time, as it stands there
-- columns: interval, data_time, symbols (a JSON list)
-- It reads nothing but the index, in its order. To SQLite numbers are smaller than any text, and bytes are greater: what is
-- no text is no key. To compare costs less than typeof.
SELECT {interval} AS interval, t."数据时间" AS data_time, json_group_array(t."交易对") AS symbols
FROM {table} AS t
WHERE t."周期" COLLATE BINARY = {interval}
    AND t."数据时间" COLLATE BINARY >= ''
    AND t."数据时间" COLLATE BINARY < x''
    AND t."交易对" COLLATE BINARY < x''
GROUP BY t."数据时间" COLLATE BINARY
