-- Keep an aggregate fresh, and heal it after a standstill (TimescaleDB).
SELECT {extension}.add_continuous_aggregate_policy(
    {view},
    start_offset => INTERVAL {back},
    end_offset => INTERVAL {stops},
    schedule_interval => INTERVAL {every}
)
