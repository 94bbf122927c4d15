-- Relations that the schema market_data has already (PostgreSQL).
-- grain:   one row per table or view
-- columns: name, stored (a table; false: a view), owner
SELECT
    c.relname::text AS name,
    c.relkind IN ('r', 'p') AS stored,
    pg_get_userbyid(c.relowner)::text AS owner
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'market_data' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
