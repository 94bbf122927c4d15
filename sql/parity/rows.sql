-- How many rows a table has in either database (DuckDB).
-- grain:   one row per interval
-- reads:   keys
-- columns: interval; rows_a, rows_b: keys that are there; repeated_a, repeated_b: rows beyond the one of each key that
--          counts; only_a, only_b: keys that the other side lacks; compared: rows whose values are compared
SELECT
    "interval",
    count(place_a) AS rows_a,
    count(place_b) AS rows_b,
    CAST(sum(rows_a) - count(place_a) AS BIGINT) AS repeated_a,
    CAST(sum(rows_b) - count(place_b) AS BIGINT) AS repeated_b,
    count(*) FILTER (WHERE place_b IS NULL) AS only_a,
    count(*) FILTER (WHERE place_a IS NULL) AS only_b,
    count(*) FILTER (WHERE compared) AS compared
FROM keys
GROUP BY "interval"
