-- Williams %R over $period bars, -100 (close at the low) to 0 (close at the high).
-- grain:   one row per series with at least $period bars
-- reads:   bars (series, rn = 1 for the newest bar, high, low, close)
-- columns: williams_r
-- NULL:    never; the constant in the divisor makes a range of zero 0
-- Why SQL: plain aggregates over a bounded window.
WITH ranges AS (
    SELECT
        series,
        max(high) AS high14,
        min(low) AS low14,
        max(close) FILTER (WHERE rn = 1) AS close
    FROM bars
    WHERE rn <= $period AND n >= $period
    GROUP BY series
)

SELECT series, -100 * (high14 - close) / (high14 - low14 + 1e-10) AS williams_r
FROM ranges
