-- What the database is, for making a schema in it (PostgreSQL).
-- grain:   one row
-- NULL:    extension_schema, where the database does not have TimescaleDB; available, where the server has none;
--          license, where the server knows nothing of TimescaleDB
SELECT
    (
        SELECT n.nspname::text
        FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb'
    ) AS extension_schema,
    (SELECT default_version FROM pg_catalog.pg_available_extensions WHERE name = 'timescaledb') AS available,
    current_setting('timescaledb.license', TRUE) AS license,
    to_regnamespace('market_data') IS NOT NULL AS has_schema,
    coalesce(has_schema_privilege(to_regnamespace('market_data'), 'USAGE'), TRUE) AS usable,
    current_database()::text AS database,
    current_user::text AS role
