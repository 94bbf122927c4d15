-- Let an aggregate show what its parent gives above the watermark (TimescaleDB).
ALTER MATERIALIZED VIEW {view} SET (timescaledb.materialized_only = FALSE)
