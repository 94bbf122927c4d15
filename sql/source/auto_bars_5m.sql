-- 5m bars of the last 25 hours (PostgreSQL; a part of auto_symbols).
-- grain:   one row per (symbol, bucket_ts)
-- NULL:    NaN counts as NULL
SELECT
        symbol,
        bucket_ts,
        CASE WHEN high <> 'NaN'::float8 THEN high END AS high,
        CASE WHEN low <> 'NaN'::float8 THEN low END AS low,
        CASE WHEN close <> 'NaN'::float8 THEN close END AS close,
        CASE WHEN quote_volume <> 'NaN'::float8 THEN quote_volume END AS quote_volume
    FROM market_data.candles_5m
    WHERE exchange = {exchange} AND bucket_ts > {after} AND bucket_ts <= {as_of}
