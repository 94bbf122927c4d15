-- The first faults of a database file, or 'ok' (SQLite).
-- grain:   one row per fault
SELECT quick_check FROM pragma_quick_check(5)
