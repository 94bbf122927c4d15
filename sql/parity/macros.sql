-- When two cells say the same (DuckDB). Cells arrive as text, because a cell of SQLite may have any type in any column.
-- moment:   the time a text names, in UTC where it has no offset; NULL where it names none
-- near:     two numbers within the tolerance; infinity is near to itself alone, NaN to NaN
-- departs:  two cells differ: NULL from a value, a text from another text, a number or a moment from another one
-- relative: by how much two finite numbers differ, relative to the larger; NULL for anything else
-- shown:    a cell as it is told: of a number no more digits than it needs
CREATE OR REPLACE TEMP MACRO moment(t) AS
    CASE WHEN regexp_matches(t, '^\d{4}-\d{2}-\d{2}') THEN
        -- DuckDB takes no offset behind a time without seconds.
        TRY_CAST(regexp_replace(t, '^(.{10}[T ]\d{2}:\d{2})(Z|[+-].*)$', '\1:00\2') AS TIMESTAMPTZ)
    END;

CREATE OR REPLACE TEMP MACRO near(x, y, rtol, atol) AS
    x = y OR (isfinite(x) AND isfinite(y) AND abs(x - y) <= atol + rtol * greatest(abs(x), abs(y)));

CREATE OR REPLACE TEMP MACRO departs(a, b, rtol, atol) AS
    CASE
        WHEN a IS NULL OR b IS NULL THEN a IS DISTINCT FROM b
        WHEN a = b THEN FALSE
        WHEN TRY_CAST(a AS DOUBLE) IS NOT NULL AND TRY_CAST(b AS DOUBLE) IS NOT NULL
            THEN NOT near(TRY_CAST(a AS DOUBLE), TRY_CAST(b AS DOUBLE), rtol, atol)
        ELSE coalesce(moment(a) <> moment(b), TRUE)
    END;

CREATE OR REPLACE TEMP MACRO relative(x, y) AS
    CASE WHEN isfinite(x) AND isfinite(y) AND x <> y THEN abs(x - y) / greatest(abs(x), abs(y)) END;

CREATE OR REPLACE TEMP MACRO shown(t) AS
    CASE WHEN contains(t, '.') THEN coalesce(CAST(TRY_CAST(t AS DOUBLE) AS VARCHAR), t) ELSE t END
