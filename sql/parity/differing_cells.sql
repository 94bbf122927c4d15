-- Cells of shared rows that differ (DuckDB).
-- grain:   one row per cell
-- reads:   keys, cells, and the parameters rtol and atol
-- columns: those of departures; position of the column among those that both databases have; both cells as text;
--          relative: by how much two numbers differ
INSERT INTO departures
WITH pairs AS (
    SELECT k.symbol, k."interval", k.data_time, unnest(list_value({pairs})) AS cell
    FROM keys AS k
    -- Both rows are always there. Outer joins keep DuckDB from matching the rows of a single column by their difference,
    -- each with nearly every other one.
    LEFT JOIN cells AS l ON l.side = 'a' AND l.place = k.place_a
    LEFT JOIN cells AS r ON r.side = 'b' AND r.place = k.place_b
    -- Most rows are the same to the letter and need no closer look.
    WHERE k.compared AND ({unequal})
)

SELECT
    'value' AS kind,
    cell.position,
    symbol,
    "interval",
    data_time,
    cell.a,
    cell.b,
    relative(TRY_CAST(cell.a AS DOUBLE), TRY_CAST(cell.b AS DOUBLE)) AS relative
FROM pairs
WHERE departs(cell.a, cell.b, $rtol::DOUBLE, $atol::DOUBLE)
