-- Candles of one interval (PostgreSQL).
-- grain:   one row per (exchange, symbol, bucket_ts); bucket_ts is the start of the bar
-- NULL:    the volumes that a feed does not give, and the trade count
CREATE TABLE IF NOT EXISTS market_data.{relation} (
    exchange TEXT NOT NULL,
    symbol TEXT NOT NULL,
    bucket_ts TIMESTAMPTZ NOT NULL,
    open NUMERIC(38, 12) NOT NULL,
    high NUMERIC(38, 12) NOT NULL,
    low NUMERIC(38, 12) NOT NULL,
    close NUMERIC(38, 12) NOT NULL,
    volume NUMERIC(38, 12) NOT NULL,
    quote_volume NUMERIC(38, 12),
    trade_count BIGINT,
    is_closed BOOLEAN NOT NULL DEFAULT FALSE,
    source TEXT NOT NULL DEFAULT 'candlemill',
    ingested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    taker_buy_volume NUMERIC(38, 12),
    taker_buy_quote_volume NUMERIC(38, 12),
    PRIMARY KEY (exchange, symbol, bucket_ts)
)
