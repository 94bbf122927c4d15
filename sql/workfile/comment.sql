-- What the bars of the work file, attached as work, are (DuckDB): the comment of their table.
-- grain:   one row, or none where the file is no work file
SELECT comment
FROM duckdb_tables()
WHERE database_name = 'work' AND schema_name = 'main' AND table_name = 'candles'
