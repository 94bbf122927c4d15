-- Leave rows without values unwritten where the table's row of that key has values (DuckDB).
-- reads:   present, {valued} (place)
DELETE FROM to_write
USING present, {valued} AS valued
WHERE valued.place = present.place
    AND to_write."交易对" = present.symbol
    AND to_write."周期" = present.interval
    AND to_write."数据时间" = present.data_time
