-- Rows of the table that are newer than the one just written of their pair (DuckDB).
-- grain:   one row per row of the table; none unless the run looked from a moment before the newest row
-- reads:   present, to_write
SELECT present.place, present.data_time
FROM present
JOIN to_write
    ON to_write."交易对" = present.symbol
    AND to_write."周期" = present.interval
    AND to_write."数据时间" < present.data_time
