-- Whether the database tells of its continuous aggregates what is asked here: TimescaleDB 2.16 or newer (PostgreSQL).
-- grain:   one row
-- columns: version (of the extension), tells
-- NULL:    version, where the database does not have the extension
SELECT
    (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') AS version,
    to_regproc('_timescaledb_functions.cagg_get_bucket_function_info') IS NOT NULL AS tells
