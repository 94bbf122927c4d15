-- 5m bars of the last 25 hours where the source has 1m bars only (PostgreSQL; a part of auto_symbols).
-- grain:   one row per (symbol, bucket_ts)
-- NULL:    NaN counts as NULL
SELECT
        symbol,
        date_bin('5 minutes', bucket_ts, timestamptz '2000-01-01 00:00:00+00') AS bucket_ts,
        max(high) FILTER (WHERE high <> 'NaN'::float8) AS high,
        min(low) FILTER (WHERE low <> 'NaN'::float8) AS low,
        (array_agg(CASE WHEN close <> 'NaN'::float8 THEN close END ORDER BY bucket_ts DESC))[1] AS close,
        sum(quote_volume) FILTER (WHERE quote_volume <> 'NaN'::float8) AS quote_volume
    FROM market_data.candles_1m
    WHERE exchange = {exchange} AND bucket_ts > {after} AND bucket_ts <= {as_of}
    GROUP BY 1, 2
