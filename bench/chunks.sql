-- A source as production has it, without TimescaleDB: chunks by day, most of which a pass does not need (PostgreSQL).
-- grain:   {symbols} symbols; of 180 days a few rows, and all of the days before {newest} that a pass looks at
-- Weeks, and metrics of an hour, are views as real-time aggregates are: what is older is kept, the rest is aggregated
-- when it is asked for.
CREATE SCHEMA market_data;

CREATE TABLE market_data.candles_1m (
    exchange TEXT NOT NULL,
    symbol TEXT NOT NULL,
    bucket_ts TIMESTAMPTZ NOT NULL,
    open NUMERIC(38, 12) NOT NULL,
    high NUMERIC(38, 12) NOT NULL,
    low NUMERIC(38, 12) NOT NULL,
    close NUMERIC(38, 12) NOT NULL,
    volume NUMERIC(38, 12) NOT NULL,
    quote_volume NUMERIC(38, 12),
    trade_count BIGINT,
    taker_buy_volume NUMERIC(38, 12),
    taker_buy_quote_volume NUMERIC(38, 12),
    PRIMARY KEY (exchange, symbol, bucket_ts)
) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.candles_5m (LIKE market_data.candles_1m INCLUDING ALL) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.candles_1h (LIKE market_data.candles_1m INCLUDING ALL) PARTITION BY RANGE (bucket_ts);
CREATE TABLE market_data.kept_1w (LIKE market_data.candles_1m INCLUDING ALL);
CREATE TABLE market_data.binance_futures_metrics_5m (
    create_time TIMESTAMP NOT NULL,
    symbol TEXT NOT NULL,
    sum_open_interest NUMERIC,
    sum_open_interest_value NUMERIC,
    count_toptrader_long_short_ratio NUMERIC,
    sum_toptrader_long_short_ratio NUMERIC,
    count_long_short_ratio NUMERIC,
    sum_taker_long_short_vol_ratio NUMERIC,
    is_closed BOOLEAN NOT NULL DEFAULT TRUE,
    UNIQUE (symbol, create_time)
) PARTITION BY RANGE (create_time);
CREATE INDEX ON market_data.candles_1m (bucket_ts);
CREATE INDEX ON market_data.candles_5m (bucket_ts);
CREATE INDEX ON market_data.candles_1h (bucket_ts);
CREATE INDEX ON market_data.kept_1w (bucket_ts);
CREATE INDEX ON market_data.binance_futures_metrics_5m (create_time);

DO $$
DECLARE
    name TEXT;
    day DATE;
    n INT;
    newest CONSTANT TIMESTAMPTZ := {newest};
    metrics CONSTANT TEXT := 'binance_futures_metrics_5m';
BEGIN
    FOREACH name IN ARRAY ARRAY['candles_1m', 'candles_5m', 'candles_1h', metrics] LOOP
        FOR n IN 0..179 LOOP
            day := newest::date - n;
            EXECUTE format('CREATE TABLE market_data.%I PARTITION OF market_data.%I FOR VALUES FROM (%L) TO (%L)',
                name || '_' || n, name, day, day + 1);
        END LOOP;
    END LOOP;
    FOR name, day, n IN
        VALUES ('candles_1m', newest::date - 1, 60), ('candles_1m', newest::date - 179, 86400),
            ('candles_5m', newest::date - 3, 300), ('candles_1h', newest::date - 70, 3600),
            ('kept_1w', date_trunc('week', newest)::date - 7 * 820, 7 * 86400)
    LOOP
        EXECUTE format($insert$
            INSERT INTO market_data.%I
            SELECT 'binance_futures_um', 'S' || lpad(s::text, 4, '0') || 'USDT', t, price, price * 1.001, price * 0.999,
                price * 1.0005, volume, volume * price, 100, volume * 0.4, volume * price * 0.4
            FROM generate_series(%L::timestamptz, %L::timestamptz, %L * interval '1 second') AS t,
                generate_series(1, {symbols}) AS s,
                LATERAL (SELECT 100 + 50 * random() * (s / s) AS price, 1000 * random() * (s / s) AS volume) AS x
            ON CONFLICT DO NOTHING
            $insert$, name, day, newest, n);
    END LOOP;
    DELETE FROM market_data.kept_1w WHERE bucket_ts >= date_trunc('week', newest);
    FOR day, n IN VALUES (newest::date - 31, 300), (newest::date - 179, 86400) LOOP
        INSERT INTO market_data.binance_futures_metrics_5m
        SELECT t, 'S' || lpad(s::text, 4, '0') || 'USDT', 1e6 * random(), 1e8 * random(), random(), random(), random(),
            random(), TRUE
        FROM generate_series(day::timestamp, newest::timestamp, n * interval '1 second') AS t,
            generate_series(1, {symbols}) AS s
        ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

CREATE VIEW market_data.candles_1w AS
SELECT * FROM market_data.kept_1w WHERE bucket_ts < date_trunc('week', {newest})
UNION ALL
SELECT
    exchange,
    symbol,
    date_trunc('week', bucket_ts) AS bucket_ts,
    (array_agg(open ORDER BY bucket_ts))[1],
    max(high),
    min(low),
    (array_agg(close ORDER BY bucket_ts DESC))[1],
    sum(volume),
    sum(quote_volume),
    sum(trade_count)::bigint,
    sum(taker_buy_volume),
    sum(taker_buy_quote_volume)
FROM market_data.candles_1m
WHERE bucket_ts >= date_trunc('week', {newest})
GROUP BY exchange, symbol, date_trunc('week', bucket_ts);

CREATE VIEW market_data.hours AS
SELECT
    symbol,
    date_trunc('hour', create_time) AS bucket,
    (array_agg(sum_open_interest ORDER BY create_time DESC))[1] AS sum_open_interest,
    (array_agg(sum_open_interest_value ORDER BY create_time DESC))[1] AS sum_open_interest_value,
    (array_agg(count_toptrader_long_short_ratio ORDER BY create_time DESC))[1] AS count_toptrader_long_short_ratio,
    (array_agg(sum_toptrader_long_short_ratio ORDER BY create_time DESC))[1] AS sum_toptrader_long_short_ratio,
    (array_agg(count_long_short_ratio ORDER BY create_time DESC))[1] AS count_long_short_ratio,
    (array_agg(sum_taker_long_short_vol_ratio ORDER BY create_time DESC))[1] AS sum_taker_long_short_vol_ratio,
    bool_and(is_closed) AS complete
FROM market_data.binance_futures_metrics_5m
GROUP BY symbol, date_trunc('hour', create_time);
CREATE TABLE market_data.kept_hours AS SELECT * FROM market_data.hours WHERE bucket < date_trunc('hour', {newest}::timestamp);
CREATE UNIQUE INDEX ON market_data.kept_hours (symbol, bucket);
CREATE INDEX ON market_data.kept_hours (bucket);
CREATE VIEW market_data.binance_futures_metrics_1h_last AS
SELECT * FROM market_data.kept_hours WHERE bucket < date_trunc('hour', {newest}::timestamp)
UNION ALL
SELECT
    symbol,
    date_trunc('hour', create_time) AS bucket,
    (array_agg(sum_open_interest ORDER BY create_time DESC))[1],
    (array_agg(sum_open_interest_value ORDER BY create_time DESC))[1],
    (array_agg(count_toptrader_long_short_ratio ORDER BY create_time DESC))[1],
    (array_agg(sum_toptrader_long_short_ratio ORDER BY create_time DESC))[1],
    (array_agg(count_long_short_ratio ORDER BY create_time DESC))[1],
    (array_agg(sum_taker_long_short_vol_ratio ORDER BY create_time DESC))[1],
    bool_and(is_closed)
FROM market_data.binance_futures_metrics_5m
WHERE create_time >= date_trunc('hour', {newest}::timestamp)
GROUP BY symbol, date_trunc('hour', create_time)
