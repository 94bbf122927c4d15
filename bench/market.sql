-- One interval's candles for some symbols, made inside the server (PostgreSQL).
-- grain:   one row per (symbol, bar), all series equally long, the last one forming
-- Prices are random walks over a wide range of levels; the same seed gives the same market.
INSERT INTO market_data.{relation}
    (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
     taker_buy_volume, taker_buy_quote_volume)
SELECT
    'binance_futures_um',
    'S' || lpad(s::text, 4, '0') || 'USDT',
    {newest} - ({bars} - 1 - t) * {length}::interval,
    price,
    greatest(price, close) * (1 + 0.004 * random()),
    least(price, close) * (1 - 0.004 * random()),
    close,
    volume,
    volume * price,
    (100 * random())::bigint + 1,
    t < {bars} - 1,
    volume * (0.3 + 0.4 * random()),
    volume * price * (0.3 + 0.4 * random())
FROM (
    SELECT
        s,
        t,
        (10 ^ (s % 9 - 4) * exp(sum(0.01 * (random() - 0.5)) OVER (PARTITION BY s ORDER BY t)))::numeric(38, 12)
            ::double precision AS price,
        1000 * exp(2 * random()) AS volume
    FROM generate_series({first}, {last}) AS s, generate_series(0, {bars} - 1) AS t
) AS walk
CROSS JOIN LATERAL (SELECT price * (1 + 0.003 * (random() - 0.5)) AS close) AS move
ORDER BY t, s
