-- No metrics, where the source has none (PostgreSQL; a part of auto_symbols).
-- grain:   no row
SELECT NULL::text AS symbol, 0::float8 AS value, 0::float8 AS taker, 0::float8 AS account WHERE FALSE
