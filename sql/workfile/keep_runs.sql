-- The newest runs of the public file, carried over into the one that takes its place (DuckDB).
-- grain:   one row per run
INSERT INTO runs BY NAME
SELECT *
FROM (SELECT * FROM previous.runs ORDER BY started_at DESC LIMIT $most)
ORDER BY started_at
