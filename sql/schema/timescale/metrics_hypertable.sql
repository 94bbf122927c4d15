-- One chunk a week for the 5m metrics (TimescaleDB).
SELECT {extension}.create_hypertable(
    'market_data.binance_futures_metrics_5m', 'create_time', chunk_time_interval => INTERVAL '7 days'
)
