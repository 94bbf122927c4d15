-- Which candle and metrics relations the source has, in one statement (PostgreSQL).
-- grain:   one row per relation of the schema market_data with a name that matters
-- columns: name, stored (a table; false: a view), readable (the role may SELECT from it), columns (their names), exact
--          (the names of those that are NUMERIC), once (a unique index lets in one row per exchange, symbol and time),
--          aggregate (a continuous aggregate of TimescaleDB), materialized_only (one that shows the rows it holds, and
--          nothing newer), called (a function of somebody else that reading the relation would call, or NULL),
--          called_by_writing (one that writing would call as well)
-- Whoever owns a view, a rule, a policy, a trigger, a constraint, a default or a type can have functions called by those
-- who use the relation, with their rights. Functions of the role itself, of superusers and of extensions may be called.
-- An aggregate is a view of the table of its rows, and where it is real-time of something else, too.
WITH foreign_functions AS MATERIALIZED (
    SELECT f.oid
    FROM pg_catalog.pg_proc AS f
    JOIN pg_catalog.pg_roles AS o ON o.oid = f.proowner
    WHERE NOT o.rolsuper
        AND o.rolname <> CURRENT_USER
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS e
            WHERE e.classid = 'pg_catalog.pg_proc'::regclass AND e.objid = f.oid AND e.deptype = 'e'
        )
)
SELECT
    c.relname::text AS name,
    c.relkind IN ('r', 'p') AS stored,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
    array_agg(a.attname::text) AS columns,
    coalesce(array_agg(a.attname::text) FILTER (WHERE a.atttypid = 'pg_catalog.numeric'::regtype), '{}') AS exact,
    EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = c.oid
            AND i.indisunique
            AND i.indisvalid
            AND i.indimmediate
            AND i.indpred IS NULL
            AND i.indexprs IS NULL
            AND NOT EXISTS (
                SELECT FROM unnest(i.indkey::smallint []) WITH ORDINALITY AS k (number, place)
                JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.oid AND b.attnum = k.number
                WHERE k.place <= i.indnkeyatts AND b.attname NOT IN ('exchange', 'symbol', 'bucket_ts')
            )
    )
    -- An index of a table says nothing of the tables that inherit from it, but for partitions and chunks.
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_inherits AS h
        JOIN pg_catalog.pg_class AS k ON k.oid = h.inhrelid
        JOIN pg_catalog.pg_namespace AS s ON s.oid = k.relnamespace
        WHERE h.inhparent = c.oid AND c.relkind = 'r' AND s.nspname <> '_timescaledb_internal'
    ) AS once,
    coalesce(made.of_held, FALSE) AS aggregate,
    coalesce(made.of_held_alone, FALSE) AS materialized_only,
    foreign_code.called,
    foreign_code.called_by_writing
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
CROSS JOIN LATERAL (
    WITH RECURSIVE reached (class, id, writing) AS (
        SELECT 'pg_catalog.pg_class'::regclass::oid, c.oid, FALSE
        WHERE EXISTS (SELECT FROM foreign_functions)
        UNION
        SELECT next.class, next.id, reached.writing OR next.writing
        FROM reached
        CROSS JOIN LATERAL (
            SELECT d.refclassid, d.refobjid, FALSE
            FROM pg_catalog.pg_depend AS d
            WHERE d.classid = reached.class
                AND d.objid = reached.id
                AND d.refclassid IN (
                    'pg_catalog.pg_class'::regclass,
                    'pg_catalog.pg_proc'::regclass,
                    'pg_catalog.pg_operator'::regclass,
                    'pg_catalog.pg_type'::regclass
                )
                AND reached.class <> 'pg_catalog.pg_proc'::regclass
            UNION ALL
            SELECT 'pg_catalog.pg_rewrite'::regclass, r.oid, r.ev_type <> '1'
            FROM pg_catalog.pg_rewrite AS r
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND r.ev_class = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_policy'::regclass, p.oid, p.polcmd NOT IN ('r', '*')
            FROM pg_catalog.pg_policy AS p
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND p.polrelid = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, TRUE
            FROM pg_catalog.pg_trigger AS t
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND t.tgrelid = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_attrdef'::regclass, f.oid, g.attgenerated <> 'v'
            FROM pg_catalog.pg_attrdef AS f
            JOIN pg_catalog.pg_attribute AS g ON g.attrelid = f.adrelid AND g.attnum = f.adnum
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND f.adrelid = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, TRUE
            FROM pg_catalog.pg_constraint AS k
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND k.conrelid = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_class'::regclass, i.indexrelid, TRUE
            FROM pg_catalog.pg_index AS i
            WHERE reached.class = 'pg_catalog.pg_class'::regclass AND i.indrelid = reached.id
            UNION ALL
            SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, FALSE
            FROM pg_catalog.pg_constraint AS k
            WHERE reached.class = 'pg_catalog.pg_type'::regclass AND k.contypid = reached.id
            UNION ALL
            -- Its casts.
            SELECT d.classid, d.objid, FALSE
            FROM pg_catalog.pg_depend AS d
            WHERE reached.class = 'pg_catalog.pg_type'::regclass
                AND d.refclassid = reached.class
                AND d.refobjid = reached.id
                AND d.classid = 'pg_catalog.pg_cast'::regclass
        ) AS next (class, id, writing)
    )
    SELECT
        min(f.oid::regprocedure::text) FILTER (WHERE NOT reached.writing) AS called,
        min(f.oid::regprocedure::text) AS called_by_writing
    FROM reached
    JOIN foreign_functions AS f ON reached.class = 'pg_catalog.pg_proc'::regclass AND f.oid = reached.id
) AS foreign_code
WHERE n.nspname = 'market_data'
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND (c.relname LIKE 'candles%' OR c.relname LIKE '%metrics%')
GROUP BY c.oid, c.relname, c.relkind, n.oid, made.of_held, made.of_held_alone, foreign_code.called,
    foreign_code.called_by_writing
