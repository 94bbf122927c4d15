-- The oldest time to write of each interval (DuckDB).
-- grain:   one row per interval
-- reads:   to_write
SELECT "周期" AS interval, min("数据时间") AS oldest
FROM to_write
GROUP BY "周期"
