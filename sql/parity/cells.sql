-- The values to compare of both databases (DuckDB).
-- grain:   one row per side and row that is compared
-- reads:   the values of either side (read_cells), and the parameters a and b: JSON lists of rowids
-- columns: side, place (the rowid), c0, c1 and so on as text
CREATE OR REPLACE TEMP TABLE cells AS
SELECT * REPLACE (CAST(place AS BIGINT) AS place)
FROM {a}
UNION ALL
SELECT * REPLACE (CAST(place AS BIGINT) AS place)
FROM {b}
