-- Keep an aggregate fresh: the last few buckets, several times a bucket (TimescaleDB).
SELECT add_continuous_aggregate_policy(
    {view},
    start_offset => {start}::interval,
    end_offset => INTERVAL '1 minute',
    schedule_interval => {every}::interval,
    if_not_exists => TRUE
)
