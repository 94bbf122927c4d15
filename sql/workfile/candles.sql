-- The bars of the pass, as an analyst sees them (DuckDB).
-- The exchange is an enumeration: a text to whoever asks, but a number in each row.
-- grain:   one row per (symbol, interval, bucket_ts), the newest bars of each symbol up to the lookback
-- NULL:    where the source has NULL
CREATE TABLE candles (
    exchange ENUM({exchange}) NOT NULL,
    symbol VARCHAR NOT NULL,
    "interval" VARCHAR NOT NULL,
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
