-- What a series lacks between two of its bars (PostgreSQL).
-- grain:   one row per gap, in the order of time
-- columns: first, last (the bars that are missing, UTC), missing (how many)
WITH bars AS (
    SELECT at, lead(at) OVER (ORDER BY at) AS following
    FROM (
        SELECT {time} AS at
        FROM market_data.{relation}
        WHERE symbol = %(symbol)s AND {of_exchange}
    ) AS series
    WHERE at BETWEEN %(first)s AND %(last)s
)

SELECT
    at + %(bucket)s::interval AS first,
    following - %(bucket)s::interval AS last,
    CASE
        WHEN %(bucket)s::interval = '1 month'::interval
            THEN (extract(YEAR FROM following) - extract(YEAR FROM at)) * 12
                + extract(MONTH FROM following) - extract(MONTH FROM at)
        ELSE floor(extract(EPOCH FROM following - at) / extract(EPOCH FROM %(bucket)s::interval))
    END::bigint - 1 AS missing
FROM bars
WHERE following > at + %(bucket)s::interval
ORDER BY at
