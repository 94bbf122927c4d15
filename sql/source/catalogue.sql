-- Which candle and metrics relations the source has, in one statement (PostgreSQL).
-- grain:   one row per relation of the schema market_data with a name that matters
-- columns: name, stored (a table; false: a view), readable (the role may SELECT from it), columns (their names), exact
--          (the names of those that are NUMERIC)
SELECT
    c.relname::text AS name,
    c.relkind IN ('r', 'p') AS stored,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
    array_agg(a.attname::text) AS columns,
    coalesce(array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'pg_catalog.numeric'::regtype), '{}') AS exact
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = 'market_data'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND (c.relname LIKE 'candles%' OR c.relname LIKE '%metrics%')
GROUP BY c.oid, c.relname, c.relkind, n.oid
