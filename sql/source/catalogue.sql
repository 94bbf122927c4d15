-- Which candle and metrics relations the source has, in one statement (PostgreSQL).
-- grain:   one row per relation of the schema market_data with a name that matters
-- columns: name, stored (a table; false: a view), readable (the role may SELECT from it), columns (their names), exact
--          (the names of those that are NUMERIC), aggregate (a continuous aggregate of TimescaleDB), materialized_only
--          (one that shows the rows it holds, and nothing newer)
-- An aggregate is a view of the table of its rows, and where it is real-time of something else, too.
SELECT
    c.relname::text AS name,
    c.relkind IN ('r', 'p') AS stored,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
    array_agg(a.attname::text) AS columns,
    coalesce(array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'pg_catalog.numeric'::regtype), '{}') AS exact,
    coalesce(made.of_held, FALSE) AS aggregate,
    coalesce(made.of_held_alone, FALSE) AS materialized_only
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN LATERAL (
    SELECT
        bool_or(t.relname LIKE '\_materialized\_hypertable\_%') AS of_held,
        bool_and(t.relname LIKE '\_materialized\_hypertable\_%') AS of_held_alone
    FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_rewrite'::regclass
        AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass
        AND d.refobjid <> c.oid
    JOIN pg_catalog.pg_class AS t ON t.oid = d.refobjid
    WHERE r.ev_class = c.oid
) AS made ON c.relkind = 'v'
WHERE n.nspname = 'market_data'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND (c.relname LIKE 'candles%' OR c.relname LIKE '%metrics%')
GROUP BY c.oid, c.relname, c.relkind, n.oid, made.of_held, made.of_held_alone
