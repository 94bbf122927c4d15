-- Williams %R over 14 bars, -100 (close at the low) to 0 (close at the high).
-- grain:   one row per series with at least 14 bars
-- reads:   bars (series, rn = 1 for the newest bar, high, low, close)
-- columns: williams_r
-- NULL:    never; the constant in the divisor makes a range of zero 0
-- Why SQL: plain aggregates over a bounded window.
SELECT
    series,
    -100 * (max(high) - max(close) FILTER (WHERE rn = 1)) / (max(high) - min(low) + 1e-10) AS williams_r
FROM bars
WHERE rn <= 14 AND n >= 14
GROUP BY series
