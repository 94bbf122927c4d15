-- Where the klines of files that overlap wait to be taken over (PostgreSQL).
-- grain:   one row per line of a file
-- It lasts as long as the transaction: behind a pooler the next one may run in another session.
-- The types are those of the candle tables, so that a value is rounded here already, and compares equal the next time.
CREATE TEMP TABLE incoming_candles (
    file INTEGER,
    line BIGINT,
    bucket_ts TIMESTAMPTZ,
    open NUMERIC(38, 12),
    high NUMERIC(38, 12),
    low NUMERIC(38, 12),
    close NUMERIC(38, 12),
    volume NUMERIC(38, 12),
    quote_volume NUMERIC(38, 12),
    trade_count BIGINT,
    taker_buy_volume NUMERIC(38, 12),
    taker_buy_quote_volume NUMERIC(38, 12)
) ON COMMIT DROP
