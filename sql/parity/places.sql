-- Rowids of the rows whose values are compared (DuckDB).
-- grain:   one row
-- reads:   keys
-- columns: a, b: a JSON list for each side
SELECT
    coalesce(CAST(to_json(list(place_a)) AS VARCHAR), '[]') AS a,
    coalesce(CAST(to_json(list(place_b)) AS VARCHAR), '[]') AS b
FROM keys
WHERE compared
