-- Futures metrics at 5m (PostgreSQL).
-- grain:   one row per (symbol, create_time); create_time is in UTC by convention
-- NULL:    any metric that the exchange did not publish
CREATE TABLE IF NOT EXISTS market_data.binance_futures_metrics_5m (
    create_time TIMESTAMP NOT NULL,
    symbol TEXT NOT NULL,
    sum_open_interest NUMERIC,
    sum_open_interest_value NUMERIC,
    count_toptrader_long_short_ratio NUMERIC,
    sum_toptrader_long_short_ratio NUMERIC,
    count_long_short_ratio NUMERIC,
    sum_taker_long_short_vol_ratio NUMERIC,
    exchange TEXT NOT NULL DEFAULT 'binance_futures_um',
    source TEXT NOT NULL DEFAULT 'candlemill',
    is_closed BOOLEAN NOT NULL DEFAULT TRUE,
    ingested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (symbol, create_time)
)
