-- The types of the columns of candle and metrics relations (PostgreSQL).
-- grain:   one row per column
-- columns: relation, name, type without precision
SELECT
    c.relname::text AS relation,
    a.attname::text AS name,
    format_type(a.atttypid, NULL) AS type
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = 'market_data'
    AND (c.relname LIKE 'candles%' OR c.relname LIKE '%metrics%')
