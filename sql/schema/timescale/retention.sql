-- Drop the rows of a table that are older than some time, for good (TimescaleDB).
SELECT {extension}.add_retention_policy({relation}, INTERVAL {length})
