-- Keys of all rows of one table of one database (SQLite, through sqlite_query).
-- grain:   one row per row of the table
-- columns: side (a or b), place (the rowid), and the three keys; NULL for a key the table does not have
SELECT {side} AS side, _rowid_ AS place, {symbol} AS symbol, {interval} AS "interval", {data_time} AS data_time
FROM {table}
