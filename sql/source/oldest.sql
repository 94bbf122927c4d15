-- The oldest row of a hypertable (PostgreSQL).
-- grain:   one row
-- NULL:    where it is empty
SELECT min({time}) AS oldest FROM {relation}
