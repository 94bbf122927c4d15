-- Metrics of an interval out of 5m metrics (DuckDB): the last row of each bucket.
-- grain:   one row per (symbol, bucket)
-- reads:   five_minutes (symbol, bucket_ts, values)
-- NULL:    as the last row has it; is_closed where all rows of the bucket are
WITH bucketed AS (
    SELECT
        * RENAME (bucket_ts AS moment),
        time_bucket(CAST($bucket AS INTERVAL), bucket_ts AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS bucket_ts
    FROM five_minutes
)

SELECT * EXCLUDE (moment) REPLACE (min(is_closed) OVER bucket AS is_closed)
FROM bucketed
WHERE bucket_ts > $after
WINDOW bucket AS (PARTITION BY symbol, bucket_ts)
QUALIFY row_number() OVER (PARTITION BY symbol, bucket_ts ORDER BY moment DESC) = 1
