-- Settle what files of one call contradict each other about, and leave one of each time (PostgreSQL).
-- grain:   one row per file with rows that do not count, and file whose rows count instead
-- reads:   incoming_candles; of the lines of a file with the same time the last one counts
-- columns: file, taken, first, last, rows (that say something else than those that are taken)
-- A bar only grows: the one with more trades, then with more volume, has seen more of its time. The rest of the order says
-- nothing about which is right. It makes the choice depend on the rows alone, and not on names and order of the files.
WITH own AS (
    SELECT DISTINCT ON (file, bucket_ts) *
    FROM incoming_candles
    ORDER BY file, bucket_ts, line DESC
),

taken AS (
    SELECT DISTINCT ON (bucket_ts) *
    FROM own
    ORDER BY
        bucket_ts, trade_count DESC NULLS LAST, volume DESC, quote_volume DESC NULLS LAST,
        taker_buy_volume DESC NULLS LAST, taker_buy_quote_volume DESC NULLS LAST,
        high DESC, low, close DESC, open DESC, file
),

dropped AS (
    DELETE FROM incoming_candles AS i USING taken AS t
    WHERE i.bucket_ts = t.bucket_ts AND i.file <> t.file
)

SELECT
    own.file,
    taken.file AS taken,
    min(own.bucket_ts) AS first,
    max(own.bucket_ts) AS last,
    count(*) AS rows
FROM own
JOIN taken ON taken.bucket_ts = own.bucket_ts AND taken.file <> own.file
WHERE (
    own.open, own.high, own.low, own.close, own.volume, own.quote_volume, own.trade_count,
    own.taker_buy_volume, own.taker_buy_quote_volume
) IS DISTINCT FROM (
    taken.open, taken.high, taken.low, taken.close, taken.volume, taken.quote_volume, taken.trade_count,
    taken.taker_buy_volume, taken.taker_buy_quote_volume
)
GROUP BY own.file, taken.file
ORDER BY own.file, taken.file
