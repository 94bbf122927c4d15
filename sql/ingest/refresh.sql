-- Bring the past of a continuous aggregate up to date, which its policy leaves alone (TimescaleDB).
CALL refresh_continuous_aggregate({view}, {type} {start}, {type} {until})
