-- Rows of the table that a row without values would replace (DuckDB).
-- grain:   one row per row of the table
-- reads:   present, to_write
SELECT present.place
FROM present
JOIN to_write
    ON to_write."交易对" = present.symbol
    AND to_write."周期" = present.interval
    AND to_write."数据时间" = present.data_time
WHERE NOT to_write.valued
