-- Buckets of which an aggregate holds other rows than its parent gives now (TimescaleDB).
-- grain:   one row per bucket
-- reads:   the rows that are held, and the view that makes them anew, within a window
SELECT DISTINCT {time} AS start
FROM (
    SELECT {columns} FROM {held} WHERE {time} >= {since} AND {time} < {until}
    EXCEPT
    SELECT {columns} FROM {direct} WHERE {time} >= {since} AND {time} < {until}
) AS other
ORDER BY 1
