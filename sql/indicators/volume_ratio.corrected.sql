-- Volume of the newest bar relative to the mean of the $period bars before it, which so does not damp itself.
-- Source: the relative volume of charting packages.
-- grain:   one row per series with more than $period bars and a mean volume other than zero
-- reads:   bars (series, rn = 1 for the newest bar, volume, quote_volume, close)
-- columns: volume_ratio, signal, turnover (quote currency), price
-- NULL:    turnover where the source has none
-- Why SQL: plain aggregates over a bounded window, then a CASE.
WITH windowed AS (
    SELECT
        series,
        -- Equal volumes have exactly their own value as mean: a rounded sum would turn a ratio of 1 into a signal.
        CASE
            WHEN min(volume) FILTER (WHERE rn > 1) = max(volume) FILTER (WHERE rn > 1)
                THEN min(volume) FILTER (WHERE rn > 1)
            ELSE fsum(volume) FILTER (WHERE rn > 1) / $period
        END AS mean_volume,
        max(volume) FILTER (WHERE rn = 1) AS volume,
        max(close) FILTER (WHERE rn = 1) AS price,
        max(quote_volume) FILTER (WHERE rn = 1) AS turnover
    FROM bars
    WHERE rn <= $period + 1 AND n > $period
    GROUP BY series
),

ratios AS (
    SELECT series, volume / mean_volume AS ratio, turnover, price
    FROM windowed
    WHERE mean_volume <> 0
)

SELECT
    series,
    ratio AS volume_ratio,
    CASE
        WHEN ratio > 5 THEN '极值放量'
        WHEN ratio > 2 THEN '异常放量'
        WHEN ratio > 1 THEN '放量'
        WHEN ratio < 0.7 THEN '缩量'
        ELSE '正常'
    END AS signal,
    turnover,
    price
FROM ratios
