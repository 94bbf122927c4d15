-- The schema that collectors write and candlemill reads (PostgreSQL).
CREATE SCHEMA IF NOT EXISTS market_data
