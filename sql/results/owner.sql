-- Whose the database is (SQLite, through sqlite_query; the parameters are JSON lists: names of our tables, their key).
-- grain:   one row
-- columns: application_id of the header; objects, how many tables, views and so on there are, save SQLite's own; ours,
--          how many of our tables have all columns of the key
SELECT
    (SELECT application_id FROM pragma_application_id) AS application_id,
    (SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\') AS objects,
    (
        SELECT count(*)
        FROM sqlite_master AS m
        WHERE m.type = 'table'
          AND m.name IN (SELECT value FROM json_each(?1))
          AND NOT EXISTS (SELECT value FROM json_each(?2) EXCEPT SELECT name FROM pragma_table_info(m.name))
    ) AS ours
