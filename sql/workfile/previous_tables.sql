-- What the public file has (DuckDB).
-- grain:   one row per table
-- reads:   previous, the public file
-- columns: its name, with the schema before it where that is not main; its columns; its comment
SELECT
    CASE t.schema_name WHEN 'main' THEN '' ELSE t.schema_name || '.' END || t.table_name AS tbl,
    list(c.column_name) AS cols,
    any_value(t.comment) AS comment
FROM duckdb_tables() AS t
JOIN duckdb_columns() AS c USING (database_name, schema_name, table_name)
WHERE t.database_name = 'previous'
GROUP BY t.schema_name, t.table_name
ORDER BY tbl
