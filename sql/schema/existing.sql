-- Relations that the schema market_data has already (PostgreSQL).
-- grain:   one row per table or view
SELECT c.relname::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'market_data' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
