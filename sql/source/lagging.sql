-- Buckets of some symbols that an aggregate shows otherwise than its parent gives them, or not at all (TimescaleDB).
-- grain:   one row per bucket and symbol
-- columns: start, symbol, missing (it shows nothing)
WITH given AS (
    SELECT {columns}
    FROM {direct}
    WHERE {time} >= {since} AND {time} < {until} AND symbol = ANY(%(symbols)s) AND {of_exchange}
),

shown AS (
    SELECT {columns}
    FROM {view}
    WHERE {time} >= {since} AND {time} < {until} AND symbol = ANY(%(symbols)s) AND {of_exchange}
)

SELECT
    late.{time} AS start,
    late.symbol::text AS symbol,
    bool_or(s.symbol IS NULL) AS missing
FROM (SELECT * FROM given EXCEPT SELECT * FROM shown) AS late
LEFT JOIN shown AS s ON {same} AND s.{time} = late.{time}
GROUP BY late.{time}, late.symbol
ORDER BY 1, 2
