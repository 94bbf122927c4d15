-- By which factor the metrics of a coarser interval differ from the last 5m row of their bucket (PostgreSQL).
-- grain:   one row per metric
-- NULL:    a factor of which no bucket has both values; NaN counts as NULL
-- columns: name, factor (median over the newest buckets of one symbol; 1 is right), points (median of 5m rows per bucket)
WITH coarse AS (
    SELECT *, {time} AS starts
    FROM market_data.{relation}
    WHERE symbol = (SELECT min(symbol) FROM market_data.binance_futures_metrics_5m)
    ORDER BY {time} DESC
    LIMIT 20
)

SELECT
    pair.name,
    percentile_cont(0.5) WITHIN GROUP (
        ORDER BY nullif((pair.coarse / nullif(pair.fine, 0))::double precision, 'NaN')
    ) AS factor,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY pair.points::double precision) AS points
FROM coarse
CROSS JOIN LATERAL (
    SELECT m.*, count(*) OVER () AS points
    FROM market_data.binance_futures_metrics_5m AS m
    WHERE m.symbol = coarse.symbol
        AND m.create_time >= coarse.starts
        AND m.create_time < coarse.starts + {length}::interval
    ORDER BY m.create_time DESC
    LIMIT 1
) AS f
CROSS JOIN LATERAL (
    VALUES
    ('sum_open_interest', coarse.sum_open_interest, f.sum_open_interest, f.points),
    ('sum_open_interest_value', coarse.sum_open_interest_value, f.sum_open_interest_value, f.points),
    (
        'count_toptrader_long_short_ratio',
        coarse.count_toptrader_long_short_ratio, f.count_toptrader_long_short_ratio, f.points
    ),
    (
        'sum_toptrader_long_short_ratio',
        coarse.sum_toptrader_long_short_ratio, f.sum_toptrader_long_short_ratio, f.points
    ),
    ('count_long_short_ratio', coarse.count_long_short_ratio, f.count_long_short_ratio, f.points),
    ('sum_taker_long_short_vol_ratio', coarse.sum_taker_long_short_vol_ratio, f.sum_taker_long_short_vol_ratio, f.points)
) AS pair (name, coarse, fine, points)
GROUP BY pair.name
ORDER BY pair.name
