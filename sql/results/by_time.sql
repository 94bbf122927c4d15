-- The symbols at each time of one interval (SQLite, through sqlite_query).
-- grain:   one row per text that is a time, as it stands there
-- columns: interval, data_time, symbols (a JSON list)
-- It reads nothing but the index, in its order. What is no text is no key.
SELECT {interval} AS interval, t."数据时间" AS data_time, json_group_array(t."交易对") AS symbols
FROM {table} AS t
WHERE t."周期" COLLATE BINARY = {interval} AND typeof(t."交易对") = 'text' AND typeof(t."数据时间") = 'text'
GROUP BY t."数据时间" COLLATE BINARY
