-- The continuous aggregates over the tables of the schema market_data (TimescaleDB).
-- grain:   one row per aggregate
SELECT view_name::text
FROM timescaledb_information.continuous_aggregates
WHERE view_schema = 'market_data'
