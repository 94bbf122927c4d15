-- The tables of a database file (SQLite).
-- grain:   one row per table
SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name
