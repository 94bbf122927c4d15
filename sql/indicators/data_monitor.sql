-- How much of each series this pass has seen.
-- grain:   one row per series
-- reads:   bars (series, interval, rn = 1 for the newest bar, n, bucket_ts)
-- columns: bars_loaded, newest_bar, bars_expected, bars_missing
-- NULL:    bars_expected and bars_missing of every interval but 1m
-- Why SQL: counting.
SELECT
    series,
    n AS bars_loaded,
    bucket_ts AS newest_bar,
    CASE WHEN "interval" = '1m' THEN 10080 END AS bars_expected,
    CASE WHEN "interval" = '1m' THEN greatest(0, 10080 - n) END AS bars_missing
FROM bars
WHERE rn = 1
