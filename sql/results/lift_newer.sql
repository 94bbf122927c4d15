-- Rows of a pair that are newer than the one just written get larger rowids (SQLite, through sqlite_query; the parameter
-- is a JSON list of their rowids, oldest row first), because readers take the largest rowid of a pair for its newest bar.
-- grain:   one row per row moved
-- They move close up behind the last row, in their order, so that rowids grow by the rows moved and no faster.
UPDATE {table}
SET rowid = moved.place + (SELECT max(rowid) FROM {table})
FROM (SELECT value AS old, key + 1 AS place FROM json_each(?)) AS moved
WHERE {table}.rowid = moved.old
RETURNING 1 AS moved
