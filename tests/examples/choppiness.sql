-- Choppiness index over $period bars. Source: Dreiss (1993).
-- grain:   one row per series with more than $period bars
-- reads:   bars (series, rn = 1 for the newest bar, n, high, low, close)
-- columns: choppiness
-- NULL:    where the range of the bars is 0
-- Why SQL: aggregates over a bounded window; only the close before is carried from bar to bar.
WITH windowed AS (
    SELECT
        series,
        rn,
        high,
        low,
        lag(close) OVER (PARTITION BY series ORDER BY rn DESC) AS close_before
    FROM bars
    WHERE rn <= $period + 1 AND n > $period
)

SELECT
    series,
    100 * log10(
        fsum(greatest(high, close_before) - least(low, close_before)) / nullif(max(high) - min(low), 0)
    ) / log10($period) AS choppiness
FROM windowed
WHERE rn <= $period
GROUP BY series
