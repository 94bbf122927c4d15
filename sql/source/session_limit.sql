-- How long a statement may take by the settings (PostgreSQL; sent along with them).
-- grain:   one row
-- columns: milliseconds, 0: any time
SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'
