-- Bars of a coarser interval out of 1m bars, where the interval has a table of its own (PostgreSQL).
-- grain:   one row per row written
-- reads:   candles_1m of one series; every bucket that the loaded 1m bars touch is built from all of its 1m bars
-- NULL:    sums skip NULL and NaN, and are NULL where all are
-- Rows that did not come from here, such as the interval's own archives, stay as they are.
WITH built AS (
    SELECT
        exchange,
        symbol,
        date_bin({bucket}, bucket_ts, timestamptz '2000-01-03 00:00:00+00') AS bucket_ts,
        (array_agg(open ORDER BY bucket_ts))[1] AS open,
        max(high) FILTER (WHERE high <> 'NaN'::float8) AS high,
        min(low) FILTER (WHERE low <> 'NaN'::float8) AS low,
        (array_agg(close ORDER BY bucket_ts DESC))[1] AS close,
        sum(volume) FILTER (WHERE volume <> 'NaN'::float8) AS volume,
        sum(quote_volume) FILTER (WHERE quote_volume <> 'NaN'::float8) AS quote_volume,
        sum(trade_count)::bigint AS trade_count,
        bool_and(is_closed) AS is_closed,
        sum(taker_buy_volume) FILTER (WHERE taker_buy_volume <> 'NaN'::float8) AS taker_buy_volume,
        sum(taker_buy_quote_volume) FILTER (WHERE taker_buy_quote_volume <> 'NaN'::float8) AS taker_buy_quote_volume
    FROM market_data.candles_1m
    WHERE exchange = %(exchange)s
        AND symbol = %(symbol)s
        AND bucket_ts >= date_bin({bucket}, %(first)s, timestamptz '2000-01-03 00:00:00+00')
        AND bucket_ts < date_bin({bucket}, %(last)s, timestamptz '2000-01-03 00:00:00+00') + interval {bucket}
    GROUP BY 1, 2, 3
),

news AS (
    SELECT b.*
    FROM built AS b
    LEFT JOIN market_data.{relation} AS t
        ON t.exchange = b.exchange AND t.symbol = b.symbol AND t.bucket_ts = b.bucket_ts
    WHERE t.symbol IS NULL
        OR (
            t.source = %(source)s
            AND (
                t.open, t.high, t.low, t.close, t.volume, t.quote_volume, t.trade_count, t.is_closed,
                t.taker_buy_volume, t.taker_buy_quote_volume
            ) IS DISTINCT FROM (
                b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.trade_count, b.is_closed,
                b.taker_buy_volume, b.taker_buy_quote_volume
            )
        )
)

INSERT INTO market_data.{relation} AS t (
    exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
    taker_buy_volume, taker_buy_quote_volume, source
)
SELECT
    exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
    taker_buy_volume, taker_buy_quote_volume, %(source)s
FROM news
ON CONFLICT (exchange, symbol, bucket_ts) DO UPDATE SET
    open = excluded.open,
    high = excluded.high,
    low = excluded.low,
    close = excluded.close,
    volume = excluded.volume,
    quote_volume = excluded.quote_volume,
    trade_count = excluded.trade_count,
    is_closed = excluded.is_closed,
    taker_buy_volume = excluded.taker_buy_volume,
    taker_buy_quote_volume = excluded.taker_buy_quote_volume,
    updated_at = now()
WHERE t.source = %(source)s
