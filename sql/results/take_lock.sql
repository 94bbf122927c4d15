-- Take the write lock, and change nothing (SQLite, through sqlite_query).
-- grain:   no row
DELETE FROM {table}
WHERE 0
RETURNING 1 AS removed
