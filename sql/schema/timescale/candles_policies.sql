-- 1m candles are compressed after 3 days and kept for 180 (TimescaleDB).
SELECT
    add_compression_policy('market_data.candles_1m', INTERVAL '3 days', if_not_exists => TRUE),
    add_retention_policy('market_data.candles_1m', INTERVAL '180 days', if_not_exists => TRUE)
