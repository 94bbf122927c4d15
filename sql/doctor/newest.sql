-- The newest time of a relation, looked for in its last days only (PostgreSQL).
-- grain:   one row
-- NULL:    nothing since {since}
SELECT max({time}) AS newest
FROM market_data.{relation}
WHERE {time} > {since}
