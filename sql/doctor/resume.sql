-- Let a paused job run again (TimescaleDB).
SELECT {extension}.alter_job({job}, scheduled => TRUE)
