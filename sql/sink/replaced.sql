-- Keys that the table has a row of already (DuckDB).
-- grain:   one row per key
-- reads:   present, to_write
SELECT present.symbol, present.interval, present.data_time
FROM present
JOIN to_write
    ON to_write."交易对" = present.symbol
    AND to_write."周期" = present.interval
    AND to_write."数据时间" = present.data_time
