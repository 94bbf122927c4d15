-- The bars of the pass, as an analyst sees them (DuckDB).
-- Exchange and interval are enumerations: texts to whoever asks, but numbers in each row. The intervals stand in the
-- order of the alphabet, so that they sort as texts do.
-- grain:   one row per (symbol, interval, bucket_ts), the newest bars of each symbol up to the lookback
-- NULL:    where the source has NULL
CREATE TABLE candles (
    exchange ENUM({exchange}) NOT NULL,
    symbol VARCHAR NOT NULL,
    "interval" ENUM({intervals}) NOT NULL,
    bucket_ts TIMESTAMPTZ NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume DOUBLE NOT NULL,
    quote_volume DOUBLE,
    trade_count BIGINT,
    taker_buy_volume DOUBLE,
    taker_buy_quote_volume DOUBLE
)
