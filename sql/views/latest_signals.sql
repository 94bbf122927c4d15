-- What the newest bar of each series says, in the words of the indicators that use words, and in English (_en).
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
    liquidity_score.grade AS liquidity_grade,
    map_extract((SELECT words FROM catalog WHERE indicator = 'macd' AND column_name = 'signal'), macd.signal)[1] AS macd_signal_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'kdj' AND column_name = 'signal'), kdj.signal)[1] AS kdj_signal_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'smart_rsi' AND column_name = 'signal'), smart_rsi.signal)[1] AS smart_rsi_signal_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'supertrend' AND column_name = 'direction'), supertrend.direction)[1] AS supertrend_direction_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'ema_gc' AND column_name = 'trend'), ema_gc.trend)[1] AS ema_trend_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'ichimoku' AND column_name = 'direction'), ichimoku.direction)[1] AS ichimoku_direction_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'smart_money_structure' AND column_name = 'bias'), smart_money_structure.bias)[1] AS structure_bias_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'atr_bands' AND column_name = 'regime'), atr_bands.regime)[1] AS volatility_regime_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'volume_ratio' AND column_name = 'signal'), volume_ratio.signal)[1] AS volume_signal_en,
    map_extract((SELECT words FROM catalog WHERE indicator = 'liquidity_score' AND column_name = 'grade'), liquidity_score.grade)[1] AS liquidity_grade_en,
    array_to_string(
        [map_extract(of_patterns.words, word)[1] FOR word IN string_split(candle_patterns.patterns, ',')],
        ', '
    ) AS candle_patterns_en
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
LEFT JOIN catalog AS of_patterns
    ON of_patterns.indicator = 'candle_patterns' AND of_patterns.column_name = 'patterns'
ORDER BY b.symbol, b."interval"
