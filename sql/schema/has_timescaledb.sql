-- Whether the database has the TimescaleDB extension (PostgreSQL).
-- grain:   one row if it has
SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'
