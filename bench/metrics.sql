-- One interval's futures metrics for some symbols, made inside the server (PostgreSQL).
-- grain:   one row per (symbol, time), {rows} each
INSERT INTO market_data.{relation}
    (symbol, {time}, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
     sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, {closed})
SELECT
    'S' || lpad(s::text, 4, '0') || 'USDT',
    {newest}::timestamp - ({rows} - 1 - t) * {length}::interval,
    1e6 * (1 + 0.1 * random()),
    1e8 * (1 + 0.1 * random()),
    0.5 + random(),
    0.5 + random(),
    0.5 + random(),
    0.5 + random(),
    t < {rows} - 1
FROM generate_series(0, {rows} - 1) AS t, generate_series({first}, {last}) AS s
ORDER BY t, s
