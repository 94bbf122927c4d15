-- Volume of the newest bar relative to the mean of the last 20, the newest included.
-- grain:   one row per series with at least $period bars and a mean volume other than zero
-- reads:   bars (series, rn = 1 for the newest bar, volume, quote_volume, close)
-- columns: volume_ratio, signal, turnover (quote currency; 0 where the source has none), price
-- NULL:    never
-- Why SQL: plain aggregates over a bounded window, then a CASE.
WITH windowed AS (
    SELECT
        series,
        -- Equal volumes have exactly their own value as mean: a rounded sum would turn a ratio of 1 into a signal.
        CASE WHEN min(volume) = max(volume) THEN min(volume) ELSE fsum(volume) / $period END AS mean_volume,
        max(volume) FILTER (WHERE rn = 1) AS volume,
        max(close) FILTER (WHERE rn = 1) AS price,
        coalesce(max(quote_volume) FILTER (WHERE rn = 1), 0) AS turnover
    FROM bars
    WHERE rn <= $period AND n >= $period
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
