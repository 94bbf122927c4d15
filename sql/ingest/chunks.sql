-- From when to when the chunks of a hypertable reach (TimescaleDB).
-- grain:   one row per chunk
SELECT
    chunk_name::text AS name,
    range_start,
    range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'market_data'
    AND hypertable_name = %(table)s
    AND isfinite(range_start)
    AND isfinite(range_end)
