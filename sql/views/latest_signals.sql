-- What the newest bar of each series says, in the words of the indicators that use words.
-- grain:   one row per (symbol, interval)
-- NULL:    an indicator without a value for the series, or that was not part of the run
CREATE VIEW latest_signals AS
SELECT
    b.symbol,
    b."interval",
    b.bucket_ts,
    b.price,
    macd.signal AS macd_signal,
    kdj.signal AS kdj_signal,
    smart_rsi.signal AS smart_rsi_signal,
    supertrend.direction AS supertrend_direction,
    ema_gc.trend AS ema_trend,
    ichimoku.direction AS ichimoku_direction,
    smart_money_structure.bias AS structure_bias,
    candle_patterns.patterns AS candle_patterns,
    atr_bands.regime AS volatility_regime,
    volume_ratio.signal AS volume_signal,
    liquidity_score.grade AS liquidity_grade
FROM base_data AS b
LEFT JOIN macd USING (symbol, "interval")
LEFT JOIN kdj USING (symbol, "interval")
LEFT JOIN smart_rsi USING (symbol, "interval")
LEFT JOIN supertrend USING (symbol, "interval")
LEFT JOIN ema_gc USING (symbol, "interval")
LEFT JOIN ichimoku USING (symbol, "interval")
LEFT JOIN smart_money_structure USING (symbol, "interval")
LEFT JOIN candle_patterns USING (symbol, "interval")
LEFT JOIN atr_bands USING (symbol, "interval")
LEFT JOIN volume_ratio USING (symbol, "interval")
LEFT JOIN liquidity_score USING (symbol, "interval")
ORDER BY b.symbol, b."interval"
