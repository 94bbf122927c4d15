-- The bars of symbols that are late, each from a moment of its own on (PostgreSQL; joins newer_candles.sql in a UNION).
-- grain:   one row per (symbol, bucket_ts)
-- columns: as in newer_candles.sql
-- The earliest moment is said once more as a constant: by it the planner leaves out chunks, which it does not by a join.
SELECT bars.symbol::text AS symbol, bars.bucket_ts::timestamptz AS bucket_ts, {values}
FROM (VALUES {late}) AS late (symbol, since)
JOIN market_data.{relation} AS bars
    ON bars.symbol = late.symbol AND bars.bucket_ts > late.since::timestamptz
WHERE bars.exchange = {exchange}
    AND bars.bucket_ts > {earliest}
    AND bars.bucket_ts <= {until}
