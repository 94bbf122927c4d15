-- Take the refresh policy of an aggregate away; its rows stay (TimescaleDB).
SELECT {extension}.remove_continuous_aggregate_policy({view})
