-- The settings of a session, made and read back in one message (PostgreSQL; two statements).
-- grain:   the first: one row. The second: one row per setting
-- columns: name, value (as it is now), ours (whether the server itself is reached, whose process {told} says it is;
--          otherwise a pooler, which tells every client a number of its own)
-- The server's own sessions keep the settings. Behind a pooler they end with the message, which is one transaction: the
-- session may be somebody else's by the next one. Until the first statement is done, names may mean anything, so each
-- says where it is from. Settings that yield stay as whoever asked for this session has them: in the options of the URL,
-- for the role, or for the database.
SELECT
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.<>) {told});

SELECT
    wanted.name,
    set_config(
        wanted.name,
        CASE
            WHEN wanted.yields AND s.source IN ('client', 'database user', 'user', 'database', 'global') THEN s.setting
            ELSE wanted.value
        END,
        pg_backend_pid() <> {told}
    ) AS value,
    pg_backend_pid() = {told} AS ours
FROM (VALUES {wanted}) AS wanted (name, value, yields, behind_pooler)
LEFT JOIN pg_settings AS s ON s.name = wanted.name
WHERE NOT wanted.behind_pooler OR pg_backend_pid() <> {told}
