-- The storage version of a work file (DuckDB).
-- grain:   one row
SELECT tags['storage_version'] AS version FROM duckdb_databases() WHERE database_name = 'work'
