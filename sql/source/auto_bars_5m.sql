-- 5m bars of the last 25 hours (PostgreSQL; a part of auto_symbols).
-- grain:   one row per (symbol, bucket_ts)
SELECT symbol, bucket_ts, high, low, close, quote_volume
    FROM market_data.candles_5m
    WHERE exchange = {exchange} AND bucket_ts > {after} AND bucket_ts <= {as_of}
