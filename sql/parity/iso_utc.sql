-- How candlemill writes times into SQLite (DuckDB).
-- iso_utc: 2026-01-18T14:00:00+00:00, with a fraction only where there is one
CREATE OR REPLACE TEMP MACRO iso_utc(t) AS
    strftime(t AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S')
    || CASE WHEN microsecond(t) % 1000000 = 0 THEN '' ELSE strftime(t AT TIME ZONE 'UTC', '.%f') END
    || '+00:00'
