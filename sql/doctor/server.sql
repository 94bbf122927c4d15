-- What the server says of itself (PostgreSQL).
-- grain:   one row
-- NULL:    timescaledb, where the database does not have the extension
SELECT
    current_setting('server_version') AS version,
    (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'timescaledb') AS timescaledb,
    current_user::text AS role,
    (SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone') AS time_zone,
    clock_timestamp() AS moment
