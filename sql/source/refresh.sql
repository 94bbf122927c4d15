-- Make the rows of an aggregate in some buckets anew; those that its parent does not give any more are gone (TimescaleDB).
CALL {extension}.refresh_continuous_aggregate({view}, {since}, {until})
