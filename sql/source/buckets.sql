-- The buckets of an aggregate that hold some times (TimescaleDB).
-- grain:   one row per time, in their order
-- columns: start, until (where the next bucket starts)
SELECT
    {bucket} AS start,
    {bucket_end} AS until
FROM unnest(%(times)s::{type}[]) WITH ORDINALITY AS asked (at, place)
ORDER BY place
