-- Open interest of the whole market at one interval, in money (DuckDB).
-- grain:   one row
-- reads:   incoming (symbol, bucket_ts, open_interest_value), of every symbol of the source
-- columns: total
-- NULL:    where no symbol has a value
-- At 5m each symbol counts with its newest row of the last hour; at coarser intervals the newest bucket counts, which all
-- symbols share.
WITH counted AS (
    SELECT
        open_interest_value,
        CASE WHEN $interval = '5m'
            THEN bucket_ts > $as_of - INTERVAL 1 HOUR AND bucket_ts = max(bucket_ts) OVER (PARTITION BY symbol)
            ELSE bucket_ts = max(bucket_ts) OVER ()
        END AS counts
    FROM incoming
)

SELECT fsum(open_interest_value) AS total FROM counted WHERE counts
