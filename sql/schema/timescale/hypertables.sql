-- The hypertables of the schema market_data (TimescaleDB).
-- grain:   one row per hypertable
SELECT hypertable_name::text
FROM timescaledb_information.hypertables
WHERE hypertable_schema = 'market_data'
