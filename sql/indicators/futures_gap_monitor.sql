-- Gaps in the 5m futures metrics of each symbol.
-- grain:   one row per series of metrics
-- reads:   metrics (series, bucket_ts; its times are distinct)
-- columns: rows_loaded, newest_row, rows_missing, first_gap_start, first_gap_end
-- NULL:    the gap's ends where there is no gap; a step of more than 5 but less than 10 minutes is a gap that lacks no
--          row and ends before it starts
-- Why SQL: lag() and aggregates say it in a few lines.
WITH steps AS (
    SELECT
        series,
        bucket_ts,
        lag(bucket_ts) OVER (PARTITION BY series ORDER BY bucket_ts) AS earlier
    FROM metrics
),

gaps AS (
    SELECT *, epoch_us(bucket_ts) - epoch_us(earlier) AS step, epoch_us(bucket_ts) - epoch_us(earlier) > 300000000 AS gap
    FROM steps
)

SELECT
    series,
    count(*) AS rows_loaded,
    max(bucket_ts) AS newest_row,
    CAST(coalesce(sum(step // 300000000 - 1) FILTER (WHERE gap), 0) AS BIGINT) AS rows_missing,
    min(earlier) FILTER (WHERE gap) + INTERVAL 5 MINUTE AS first_gap_start,
    min(bucket_ts) FILTER (WHERE gap) - INTERVAL 5 MINUTE AS first_gap_end
FROM gaps
GROUP BY series
