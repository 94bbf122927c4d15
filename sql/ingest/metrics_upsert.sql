-- Take the futures metrics of some files over into their table, whose times are in UTC without saying so (PostgreSQL).
-- grain:   one row per file that changes something
-- reads:   incoming_metrics from a first time to a last one; of lines with the same time the one counts that was taken
--          closest to it, then the last one
-- columns: file, inserted, updated (rows of the table that had other values)
-- A row that says the same already is not touched, not even locked: loading a file twice changes nothing.
WITH incoming AS (
    SELECT DISTINCT ON (create_time)
        *,
        create_time AT TIME ZONE 'UTC' AS utc_time,
        create_time + %(bucket)s::interval <= now() AS is_closed
    FROM incoming_metrics
    WHERE create_time BETWEEN %(first)s AND %(last)s
    ORDER BY create_time, late, line DESC
),

news AS (
    SELECT i.*, t.symbol IS NOT NULL AS known
    FROM incoming AS i
    LEFT JOIN market_data.{relation} AS t
        ON t.symbol = %(symbol)s
        AND t.create_time BETWEEN (%(first)s AT TIME ZONE 'UTC') AND (%(last)s AT TIME ZONE 'UTC')
        AND t.create_time = i.utc_time
    WHERE t.symbol IS NULL
        OR (
            t.sum_open_interest, t.sum_open_interest_value, t.count_toptrader_long_short_ratio,
            t.sum_toptrader_long_short_ratio, t.count_long_short_ratio, t.sum_taker_long_short_vol_ratio, t.is_closed
        ) IS DISTINCT FROM (
            i.sum_open_interest, i.sum_open_interest_value, i.count_toptrader_long_short_ratio,
            i.sum_toptrader_long_short_ratio, i.count_long_short_ratio, i.sum_taker_long_short_vol_ratio, i.is_closed
        )
),

written AS (
    INSERT INTO market_data.{relation} (
        create_time, symbol, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, exchange, source,
        is_closed
    )
    SELECT
        utc_time, %(symbol)s, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, %(exchange)s,
        %(source)s, is_closed
    FROM news
    ON CONFLICT (symbol, create_time) DO UPDATE SET
        sum_open_interest = excluded.sum_open_interest,
        sum_open_interest_value = excluded.sum_open_interest_value,
        count_toptrader_long_short_ratio = excluded.count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio = excluded.sum_toptrader_long_short_ratio,
        count_long_short_ratio = excluded.count_long_short_ratio,
        sum_taker_long_short_vol_ratio = excluded.sum_taker_long_short_vol_ratio,
        exchange = excluded.exchange,
        source = excluded.source,
        is_closed = excluded.is_closed,
        updated_at = now()
)

SELECT
    file,
    count(*) FILTER (WHERE NOT known) AS inserted,
    count(*) FILTER (WHERE known) AS updated
FROM news
GROUP BY file
