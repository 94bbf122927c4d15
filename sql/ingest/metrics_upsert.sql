-- Take the futures metrics of one file over into their table, whose times are in UTC without saying so (PostgreSQL).
-- grain:   one row
-- reads:   incoming_metrics; of lines with the same time the last one counts
-- columns: inserted, updated (rows of the table that had other values)
-- A row that says the same already is not touched, so that loading a file twice changes nothing.
WITH incoming AS (
    SELECT DISTINCT ON (create_time) *, create_time AT TIME ZONE 'UTC' AS utc_time
    FROM incoming_metrics
    ORDER BY create_time, line DESC
),

known AS (
    SELECT count(*) AS n
    FROM market_data.{relation} AS t
    JOIN incoming AS i ON i.utc_time = t.create_time
    WHERE t.symbol = %(symbol)s
        AND t.create_time BETWEEN (%(first)s AT TIME ZONE 'UTC') AND (%(last)s AT TIME ZONE 'UTC')
),

written AS (
    INSERT INTO market_data.{relation} AS t (
        create_time, symbol, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, exchange, source,
        is_closed
    )
    SELECT
        utc_time, %(symbol)s, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
        sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, %(exchange)s,
        %(source)s, create_time + %(bucket)s::interval <= now()
    FROM incoming
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
    WHERE (
        t.sum_open_interest, t.sum_open_interest_value, t.count_toptrader_long_short_ratio,
        t.sum_toptrader_long_short_ratio, t.count_long_short_ratio, t.sum_taker_long_short_vol_ratio, t.is_closed
    ) IS DISTINCT FROM (
        excluded.sum_open_interest, excluded.sum_open_interest_value, excluded.count_toptrader_long_short_ratio,
        excluded.sum_toptrader_long_short_ratio, excluded.count_long_short_ratio,
        excluded.sum_taker_long_short_vol_ratio, excluded.is_closed
    )
    RETURNING 1
)

SELECT
    (SELECT count(*) FROM incoming) - known.n AS inserted,
    (SELECT count(*) FROM written) - ((SELECT count(*) FROM incoming) - known.n) AS updated
FROM known
