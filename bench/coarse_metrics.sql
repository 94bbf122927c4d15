-- A table in the place of a continuous aggregate of metrics, as TimescaleDB keeps it (PostgreSQL).
-- grain:   one row per (symbol, bucket)
CREATE TABLE market_data.{relation} (
    symbol TEXT NOT NULL,
    bucket TIMESTAMP NOT NULL,
    sum_open_interest NUMERIC,
    sum_open_interest_value NUMERIC,
    count_toptrader_long_short_ratio NUMERIC,
    sum_toptrader_long_short_ratio NUMERIC,
    count_long_short_ratio NUMERIC,
    sum_taker_long_short_vol_ratio NUMERIC,
    points BIGINT,
    complete BOOLEAN,
    UNIQUE (symbol, bucket)
)
