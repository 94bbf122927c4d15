-- From when to when an aggregate holds rows within a window (TimescaleDB).
-- grain:   one row
-- NULL:    where it holds none
SELECT
    min({time}) AS first,
    max({time}) AS last
FROM {held}
WHERE {time} >= {since} AND {time} < {until}
