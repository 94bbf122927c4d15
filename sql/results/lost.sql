-- Whether a table lacks one of the rows that were sent, or has it with other values (SQLite, through sqlite_query).
-- grain:   one row, or none
-- columns: lost
SELECT 1 AS lost
FROM {stage} AS s
WHERE NOT EXISTS (
    SELECT 1
    FROM {table} AS t
    WHERE {same}
)
LIMIT 1
