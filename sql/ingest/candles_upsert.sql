-- Take the klines of some files over into their table (PostgreSQL).
-- grain:   one row per file that changes something
-- reads:   incoming_candles from a first time to a last one; of lines with the same time the last one counts
-- columns: file, inserted, updated (rows of the table that had other values)
-- A row that says the same already is not touched, not even locked: loading a file twice changes nothing.
WITH incoming AS (
    SELECT DISTINCT ON (bucket_ts) *, bucket_ts + %(bucket)s::interval <= now() AS is_closed
    FROM incoming_candles
    WHERE bucket_ts BETWEEN %(first)s AND %(last)s
    ORDER BY bucket_ts, line DESC
),

news AS (
    SELECT i.*, t.symbol IS NOT NULL AS known
    FROM incoming AS i
    LEFT JOIN market_data.{relation} AS t
        ON t.exchange = %(exchange)s
        AND t.symbol = %(symbol)s
        AND t.bucket_ts BETWEEN %(first)s AND %(last)s
        AND t.bucket_ts = i.bucket_ts
    WHERE t.symbol IS NULL
        OR (
            t.open, t.high, t.low, t.close, t.volume, t.quote_volume, t.trade_count, t.is_closed,
            t.taker_buy_volume, t.taker_buy_quote_volume
        ) IS DISTINCT FROM (
            i.open, i.high, i.low, i.close, i.volume, i.quote_volume, i.trade_count, i.is_closed,
            i.taker_buy_volume, i.taker_buy_quote_volume
        )
),

written AS (
    INSERT INTO market_data.{relation} (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
        taker_buy_volume, taker_buy_quote_volume, source
    )
    SELECT
        %(exchange)s, %(symbol)s, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, is_closed,
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
        source = excluded.source,
        updated_at = now()
)

SELECT
    file,
    count(*) FILTER (WHERE NOT known) AS inserted,
    count(*) FILTER (WHERE known) AS updated
FROM news
GROUP BY file
