-- Whether a relation has rows within a window (PostgreSQL).
-- grain:   one row
SELECT EXISTS (SELECT FROM {relation} WHERE {time} >= {since} AND {time} < {until}) AS found
