-- A pass reads a time range of all symbols; without chunks that needs an index by time (PostgreSQL).
CREATE INDEX IF NOT EXISTS {index} ON market_data.{relation} (bucket_ts)
