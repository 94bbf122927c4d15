-- Where the futures metrics of files that overlap wait to be taken over (PostgreSQL).
-- grain:   one row per line of a file; late is how long after create_time it was taken
-- It lasts as long as the transaction: behind a pooler the next one may run in another session.
-- NULL:    where the file has no value
CREATE TEMP TABLE incoming_metrics (
    file INTEGER,
    line BIGINT,
    create_time TIMESTAMPTZ,
    late INTERVAL,
    sum_open_interest NUMERIC,
    sum_open_interest_value NUMERIC,
    count_toptrader_long_short_ratio NUMERIC,
    sum_toptrader_long_short_ratio NUMERIC,
    count_long_short_ratio NUMERIC,
    sum_taker_long_short_vol_ratio NUMERIC
) ON COMMIT DROP
