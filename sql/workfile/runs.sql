-- The history of runs, carried over from work file to work file (DuckDB).
-- grain:   one row per run
-- columns: the run record; stages and errors are lists of structures, skipped maps reasons to counts; durations in
--          seconds; t_start, the profile and the paths of the result database and the work file, sqlite and duckdb, are
--          NULL for runs of versions that do not record them; all stages are written in one transaction, and t_write of a stage is the share of its rows in it
CREATE TABLE runs (
    run_id VARCHAR PRIMARY KEY,
    started_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    as_of TIMESTAMPTZ NOT NULL,
    version VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    symbols BIGINT NOT NULL,
    intervals VARCHAR[] NOT NULL,
    indicators BIGINT NOT NULL,
    series BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    t_start DOUBLE,
    t_read DOUBLE NOT NULL,
    t_compute DOUBLE NOT NULL,
    t_write DOUBLE NOT NULL,
    total DOUBLE NOT NULL,
    stages STRUCT(
        "interval" VARCHAR, bars BIGINT, series BIGINT, rows BIGINT, t_read DOUBLE, t_compute DOUBLE, t_write DOUBLE
    )[] NOT NULL,
    pg_queries BIGINT NOT NULL,
    pg_rows BIGINT NOT NULL,
    pg_bytes BIGINT NOT NULL,
    sqlite_commits BIGINT NOT NULL,
    sqlite_rows_written BIGINT NOT NULL,
    sqlite_rows_pruned BIGINT NOT NULL,
    peak_rss_mb BIGINT NOT NULL,
    skipped MAP(VARCHAR, BIGINT) NOT NULL,
    errors STRUCT("table" VARCHAR, symbol VARCHAR, "interval" VARCHAR, message VARCHAR)[] NOT NULL,
    sqlite VARCHAR,
    duckdb VARCHAR,
    profile VARCHAR
)
