-- Rows of a table that one database lacks (DuckDB).
-- grain:   one row per key
-- reads:   keys
-- columns: kind; position of the column, NULL because a whole row departs; the key; both cells, NULL; relative, NULL
-- Cells that differ are added to these (differing_cells).
CREATE OR REPLACE TEMP TABLE departures AS
SELECT
    CASE WHEN place_b IS NULL THEN 'only in A' ELSE 'only in B' END AS kind,
    CAST(NULL AS INTEGER) AS position,
    symbol,
    "interval",
    data_time,
    CAST(NULL AS VARCHAR) AS a,
    CAST(NULL AS VARCHAR) AS b,
    CAST(NULL AS DOUBLE) AS relative
FROM keys
WHERE place_a IS NULL OR place_b IS NULL
