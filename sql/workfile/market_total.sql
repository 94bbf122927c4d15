-- Open interest of the whole market at one interval, in money (DuckDB).
-- grain:   one row
-- reads:   incoming (symbol, bucket_ts, open_interest_value), of every symbol of the source
-- columns: total
-- NULL:    where no symbol has a value
-- At 5m each symbol counts with its newest row of the last hour; at coarser intervals the newest bucket counts, which all
-- symbols share.
SELECT CASE
    WHEN $interval = '5m' THEN (
        SELECT fsum(newest)
        FROM (
            SELECT arg_max_null(open_interest_value, bucket_ts) AS newest
            FROM incoming
            WHERE bucket_ts > $as_of - INTERVAL 1 HOUR
            GROUP BY symbol
        )
    )
    ELSE (SELECT fsum(open_interest_value) FROM incoming WHERE bucket_ts = (SELECT max(bucket_ts) FROM incoming))
END AS total
