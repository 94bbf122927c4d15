-- What every indicator column is called and means (DuckDB).
-- grain:   one row per indicator column
-- columns: as named; rounding applies to SQLite only, this file has full precision; NULL there: not rounded; words are
--          the values that a text can have, each with its English
CREATE TABLE catalog (
    indicator VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    family VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    min_bars BIGINT NOT NULL,
    position BIGINT NOT NULL,
    column_name VARCHAR NOT NULL,
    sqlite_table VARCHAR NOT NULL,
    sqlite_column VARCHAR NOT NULL,
    sqlite_type VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    rounding VARCHAR,
    meaning VARCHAR NOT NULL,
    words MAP(VARCHAR, VARCHAR) NOT NULL,
    formula VARCHAR NOT NULL
)
