-- Compressed chunks keep the bars of a symbol together, which is how they are read (TimescaleDB).
ALTER TABLE market_data.candles_1m SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'exchange, symbol',
    timescaledb.compress_orderby = 'bucket_ts DESC'
)
