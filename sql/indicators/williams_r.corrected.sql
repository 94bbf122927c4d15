-- Williams %R without a constant in its divisor, so that a price of any size has the same; -50 where there is no range.
-- Source: Williams (1973).
-- grain:   one row per series with at least $period bars
-- reads:   bars (series, rn = 1 for the newest bar, high, low, close)
-- columns: williams_r
-- NULL:    never
-- Why SQL: plain aggregates over a bounded window.
SELECT
    series,
    CASE
        WHEN max(high) = min(low) THEN -50
        ELSE -100 * (max(high) - max(close) FILTER (WHERE rn = 1)) / (max(high) - min(low))
    END AS williams_r
FROM bars
WHERE rn <= $period AND n >= $period
GROUP BY series
