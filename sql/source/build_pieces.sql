-- Pieces of the bars of an interval out of 1m bars (DuckDB), to be put together by build_bars.
-- grain:   one row per (symbol, bucket) with 1m bars in this part of the window
-- reads:   minutes (symbol, bucket_ts, values)
-- columns: symbol, bucket_ts (of the piece's first 1m bar), values
-- NULL:    sums skip NULL and are NULL where all are
SELECT
    symbol,
    min(bucket_ts) AS bucket_ts,
    arg_min(open, bucket_ts) AS open,
    max(high) AS high,
    min(low) AS low,
    arg_max(close, bucket_ts) AS close,
    sum(volume) AS volume,
    sum(quote_volume) AS quote_volume,
    sum(trade_count) AS trade_count,
    sum(taker_buy_volume) AS taker_buy_volume,
    sum(taker_buy_quote_volume) AS taker_buy_quote_volume
FROM minutes
GROUP BY symbol, time_bucket(CAST($bucket AS INTERVAL), bucket_ts AT TIME ZONE 'UTC')
