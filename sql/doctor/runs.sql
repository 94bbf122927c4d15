-- How many runs a work file remembers, and by which version the last one was (DuckDB).
-- grain:   one row
-- NULL:    last, where there was no run
SELECT count(*) AS runs, arg_max(version, started_at) AS last FROM work.runs
