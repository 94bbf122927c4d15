-- Triggers of candles_1m that tell of its rows already (PostgreSQL).
-- grain:   one row per trigger
SELECT t.tgname::text
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
WHERE t.tgrelid = 'market_data.candles_1m'::regclass
    AND NOT t.tgisinternal
    AND p.prosrc LIKE '%candle_1m_update%'
ORDER BY 1
