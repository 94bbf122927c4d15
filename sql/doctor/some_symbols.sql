-- A few symbols that have rows of late (PostgreSQL).
-- grain:   one row per symbol
SELECT DISTINCT symbol::text AS symbol
FROM {relation}
WHERE {time} >= {since}
ORDER BY 1
LIMIT {few}
