-- 1m candles are compressed after 3 days (TimescaleDB).
SELECT {extension}.add_compression_policy('market_data.candles_1m', INTERVAL '3 days')
