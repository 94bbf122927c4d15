-- The newest runs, the newest of them last (DuckDB).
-- grain:   one row per run
-- reads:   runs; the parameter last (NULL: all runs)
-- columns: the run record
SELECT *
FROM (SELECT * FROM runs ORDER BY started_at DESC, run_id LIMIT $last)
ORDER BY started_at, run_id DESC
