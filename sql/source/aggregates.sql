-- The continuous aggregates over hypertables of the schema market_data, also those over other aggregates (TimescaleDB).
-- grain:   one row per aggregate, each after the one that it is made from
-- columns: root (the hypertable below all), parent (what it is made from: that hypertable, or an aggregate), held (the
--          table of the rows that it holds), direct (the view of the rows that its parent gives now), step_seconds (of a
--          bucket of the parent, where that is an aggregate), owned (the role may refresh it), readable (the role may
--          SELECT from it and its parent), width, origin, shift, zone (arguments of time_bucket), seconds (of a bucket),
--          watermark (microseconds since 1970; above it an aggregate that is real-time shows what its parent gives),
--          policy (the job that refreshes it), reaches_seconds (how far back that looks), retention_seconds (after which
--          rows of the parent are dropped)
-- NULL:    step_seconds over a hypertable; seconds where buckets have no fixed width; watermark before the first
--          refresh, and where it may not be read; policy and reaches_seconds without a policy, and reaches_seconds
--          where it looks back without end; retention_seconds without a policy
WITH RECURSIVE
extension AS (
    SELECT n.nspname AS extension_schema
    FROM pg_catalog.pg_extension AS e
    JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb'
),

aggregates AS (
    SELECT
        c.*,
        g.mat_hypertable_id,
        g.raw_hypertable_id,
        g.direct_view_schema,
        g.direct_view_name,
        b.bucket_width,
        b.bucket_origin,
        b.bucket_offset,
        b.bucket_timezone,
        CASE WHEN b.bucket_fixed_width THEN extract(EPOCH FROM b.bucket_width::interval)::float8 END AS seconds
    FROM timescaledb_information.continuous_aggregates AS c
    JOIN _timescaledb_catalog.continuous_agg AS g
        ON g.user_view_schema = c.view_schema AND g.user_view_name = c.view_name
    CROSS JOIN LATERAL _timescaledb_functions.cagg_get_bucket_function_info(g.mat_hypertable_id) AS b
),

descent AS (
    SELECT
        a.*,
        0 AS depth,
        a.hypertable_name AS root_name,
        a.hypertable_schema AS parent_schema,
        a.hypertable_name AS parent_name,
        NULL::float8 AS step_seconds
    FROM aggregates AS a
    WHERE a.hypertable_schema = 'market_data'
    UNION ALL
    SELECT
        a.*,
        d.depth + 1,
        d.root_name,
        d.view_schema,
        d.view_name,
        d.seconds
    FROM aggregates AS a
    JOIN descent AS d
        ON a.hypertable_schema = d.materialization_hypertable_schema
        AND a.hypertable_name = d.materialization_hypertable_name
),

refreshes AS (
    SELECT
        (config ->> 'mat_hypertable_id')::int AS hypertable_id,
        min(job_id) AS job_id,
        CASE
            WHEN count(*) = count(config ->> 'start_offset')
                THEN max(extract(EPOCH FROM (config ->> 'start_offset')::interval))::float8
        END AS reaches_seconds
    FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_refresh_continuous_aggregate'
    GROUP BY 1
),

retentions AS (
    SELECT
        (config ->> 'hypertable_id')::int AS hypertable_id,
        min(extract(EPOCH FROM (config ->> 'drop_after')::interval))::float8 AS retention_seconds
    FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_retention'
    GROUP BY 1
)

SELECT
    e.extension_schema::text,
    d.root_name::text AS root,
    d.parent_schema::text,
    d.parent_name::text,
    p.column_name::text AS parent_time,
    d.step_seconds,
    d.view_schema::text AS schema,
    d.view_name::text AS name,
    d.materialization_hypertable_schema::text AS held_schema,
    d.materialization_hypertable_name::text AS held_name,
    d.direct_view_schema::text AS direct_schema,
    d.direct_view_name::text AS direct_name,
    d.view_owner::text AS owner,
    pg_catalog.pg_has_role(d.view_owner, 'USAGE') AS owned,
    r.readable,
    d.materialized_only,
    m.column_name::text AS time,
    m.column_type = 'pg_catalog.timestamptz'::regtype AS zoned,
    (
        SELECT array_agg(t.attname::text ORDER BY t.attnum)
        FROM pg_catalog.pg_attribute AS t
        WHERE t.attrelid = v.oid AND t.attnum > 0
    ) AS columns,
    d.bucket_width AS width,
    d.bucket_origin AS origin,
    d.bucket_offset AS shift,
    d.bucket_timezone AS zone,
    d.seconds,
    CASE WHEN r.readable THEN nullif(
        greatest(_timescaledb_functions.cagg_watermark(d.mat_hypertable_id), -62135596800000000), -62135596800000000
    ) END AS watermark,
    f.job_id AS policy,
    f.reaches_seconds,
    s.retention_seconds
FROM descent AS d
CROSS JOIN extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.nspname = d.view_schema
JOIN pg_catalog.pg_class AS v ON v.relnamespace = n.oid AND v.relname = d.view_name
CROSS JOIN LATERAL (
    SELECT
        has_schema_privilege(n.oid, 'USAGE')
        AND has_table_privilege(v.oid, 'SELECT')
        AND has_schema_privilege(o.oid, 'USAGE')
        AND has_table_privilege(w.oid, 'SELECT') AS readable
    FROM pg_catalog.pg_class AS w
    JOIN pg_catalog.pg_namespace AS o ON o.oid = w.relnamespace
    WHERE o.nspname = d.parent_schema AND w.relname = d.parent_name
) AS r
JOIN timescaledb_information.dimensions AS m
    ON m.hypertable_schema = d.materialization_hypertable_schema
    AND m.hypertable_name = d.materialization_hypertable_name
    AND m.dimension_number = 1
JOIN timescaledb_information.dimensions AS p
    ON p.hypertable_schema = d.hypertable_schema
    AND p.hypertable_name = d.hypertable_name
    AND p.dimension_number = 1
LEFT JOIN refreshes AS f ON f.hypertable_id = d.mat_hypertable_id
LEFT JOIN retentions AS s ON s.hypertable_id = d.raw_hypertable_id
WHERE m.column_type IN ('pg_catalog.timestamptz'::regtype, 'pg_catalog.timestamp'::regtype)
ORDER BY d.depth, d.seconds, d.view_name
