-- The figures of the newest bar that a desk scans first, with the moment that the run looked from, and how long ago
-- that is.
-- grain:   one row per (symbol, interval)
-- NULL:    an indicator without a value for the series, or that was not part of the run
CREATE VIEW overview AS
SELECT
    b.symbol,
    b."interval",
    b.bucket_ts,
    b.price,
    100 * b.change_fraction AS change_percent,
    b.turnover,
    b.taker_buy_fraction,
    volume_ratio.volume_ratio,
    atr_bands.atr_percent,
    bollinger.percent_b,
    bollinger.bandwidth AS bollinger_bandwidth_percent,
    kdj.j AS kdj_j,
    macd.histogram AS macd_histogram,
    williams_r.williams_r,
    support_resistance.support,
    support_resistance.resistance,
    f.open_interest_value,
    f.global_account_ratio,
    (SELECT max_by(as_of, started_at) FROM runs) AS as_of,
    now() - (SELECT max_by(as_of, started_at) FROM runs) AS age
FROM base_data AS b
LEFT JOIN volume_ratio USING (symbol, "interval")
LEFT JOIN atr_bands USING (symbol, "interval")
LEFT JOIN bollinger USING (symbol, "interval")
LEFT JOIN kdj USING (symbol, "interval")
LEFT JOIN macd USING (symbol, "interval")
LEFT JOIN williams_r USING (symbol, "interval")
LEFT JOIN support_resistance USING (symbol, "interval")
LEFT JOIN futures_sentiment AS f USING (symbol, "interval")
ORDER BY b.symbol, b."interval"
