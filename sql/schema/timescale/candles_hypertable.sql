-- One chunk a day for the 1m candles (TimescaleDB).
SELECT {extension}.create_hypertable('market_data.candles_1m', 'bucket_ts', chunk_time_interval => INTERVAL '1 day')
