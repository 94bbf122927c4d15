-- Buckets of which an aggregate holds rows of a symbol while the parent lacks some that could be in them (TimescaleDB).
-- grain:   one row per bucket and symbol
-- reads:   the rows that are held within a window, and the number of rows that the parent has for each
SELECT DISTINCT
    h.{time} AS start,
    h.symbol::text AS symbol
FROM {held} AS h
LEFT JOIN (
    SELECT
        {bucket} AS start,
        {series},
        count(*) AS rows
    FROM {parent}
    WHERE {parent_time} >= {since} AND {parent_time} < {until}
    GROUP BY 1, {series}
) AS p ON {same} AND p.start = h.{time}
WHERE h.{time} >= {since} AND h.{time} < {until}
    AND coalesce(p.rows, 0) * {step}::float8 < extract(EPOCH FROM {bucket_end} - h.{time})
ORDER BY 1, 2
