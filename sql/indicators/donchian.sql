-- Donchian channel over $period bars.
-- grain:   one row per series with at least $period bars
-- reads:   bars (series, rn = 1 for the newest bar, high, low)
-- columns: upper, middle, lower, in units of price
-- NULL:    never; prices of bars are never NULL
-- Why SQL: two plain aggregates over a bounded window; nothing is carried from bar to bar.
SELECT
    series,
    max(high) AS upper,
    (max(high) + min(low)) / 2 AS middle,
    min(low) AS lower
FROM bars
WHERE rn <= $period AND n >= $period
GROUP BY series
