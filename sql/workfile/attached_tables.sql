-- The tables of somebody's file that is attached (DuckDB).
-- grain:   one row per table of the schema main
-- reads:   the parameter name, under which it is attached
-- columns: its name
SELECT table_name
FROM duckdb_tables()
WHERE database_name = $name AND schema_name = 'main'
ORDER BY table_name
