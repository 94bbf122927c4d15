-- The rows of a result table as the work file names them (DuckDB).
-- grain:   one row per (symbol, interval, bucket_ts); rows whose time is none are left out
-- reads:   found, the rows of the table
-- columns: symbol, interval, bucket_ts, and those of the indicator
-- NULL:    as the result database has it; also where a cell is of another type than the column
SELECT
    CAST({symbol} AS VARCHAR) AS symbol,
    CAST({interval} AS VARCHAR) AS "interval",
    TRY_CAST({data_time} AS TIMESTAMPTZ) AS bucket_ts,
    {columns}
FROM found
WHERE TRY_CAST({data_time} AS TIMESTAMPTZ) IS NOT NULL
