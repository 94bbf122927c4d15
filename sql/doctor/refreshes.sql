-- How the refresh policies of the aggregates are doing (TimescaleDB).
-- grain:   one row per job
-- NULL:    failed and finished (the newest success) before the first run; message, where there is none to be read
SELECT
    j.job_id AS job,
    j.scheduled,
    s.last_run_status = 'Failed' AS failed,
    nullif(s.last_successful_finish, '-infinity') AS finished,
    (
        SELECT e.err_message
        FROM timescaledb_information.job_errors AS e
        WHERE e.job_id = j.job_id
        ORDER BY e.finish_time DESC
        LIMIT 1
    ) AS message
FROM timescaledb_information.jobs AS j
LEFT JOIN timescaledb_information.job_stats AS s ON s.job_id = j.job_id
WHERE j.proc_name = 'policy_refresh_continuous_aggregate'
