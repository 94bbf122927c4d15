-- The newest futures metrics of each symbol within 7 days (PostgreSQL; a part of auto_symbols).
-- grain:   one row per symbol
SELECT DISTINCT ON (symbol)
        symbol,
        sum_open_interest_value AS value,
        sum_taker_long_short_vol_ratio AS taker,
        count_long_short_ratio AS account
    FROM market_data.binance_futures_metrics_5m
    WHERE create_time > ({as_of} AT TIME ZONE 'UTC') - interval '7 days'
        AND create_time <= {as_of} AT TIME ZONE 'UTC'
    ORDER BY symbol, create_time DESC
