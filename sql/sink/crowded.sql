-- Intervals with more times than rows to keep (SQLite, through sqlite_query; the parameter is a JSON list of interval and
-- rows to keep).
-- grain:   one row per such interval; only there a pair can have rows beyond its retention
-- columns: interval
-- The times of an interval are found by jumping from one to the next along the index.
WITH RECURSIVE times (interval, keep, place, time) AS (
    SELECT
        json_extract(k.value, '$[0]'),
        json_extract(k.value, '$[1]'),
        1,
        (SELECT max(t."数据时间") FROM {table} AS t WHERE t."周期" = json_extract(k.value, '$[0]'))
    FROM json_each(?) AS k
    UNION ALL
    SELECT
        interval,
        keep,
        place + 1,
        (SELECT max(t."数据时间") FROM {table} AS t WHERE t."周期" = times.interval AND t."数据时间" < times.time)
    FROM times
    WHERE place <= keep AND time IS NOT NULL
)

SELECT interval
FROM times
WHERE place = keep + 1 AND time IS NOT NULL
