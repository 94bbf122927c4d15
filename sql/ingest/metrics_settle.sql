-- Settle what files of one call contradict each other about, and leave one of each time (PostgreSQL).
-- grain:   one row per file with rows that do not count, and file whose rows count instead
-- reads:   incoming_metrics; of the lines of a file with the same time the one counts that was taken closest to it
-- columns: file, taken, first, last, rows (that say something else than those that are taken)
-- The one counts that was taken closest to its time, then the one with more values. The rest of the order says nothing about
-- which is right. It makes the choice depend on the rows alone, and not on names and order of the files.
WITH own AS (
    SELECT DISTINCT ON (file, create_time) *
    FROM incoming_metrics
    ORDER BY file, create_time, late, line DESC
),

taken AS (
    SELECT DISTINCT ON (create_time) *
    FROM own
    ORDER BY
        create_time, late,
        num_nonnulls(
            sum_open_interest, sum_open_interest_value,
            count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio,
            count_long_short_ratio, sum_taker_long_short_vol_ratio
        ) DESC,
        sum_open_interest DESC NULLS LAST,
        sum_open_interest_value DESC NULLS LAST,
        count_toptrader_long_short_ratio DESC NULLS LAST,
        sum_toptrader_long_short_ratio DESC NULLS LAST,
        count_long_short_ratio DESC NULLS LAST,
        sum_taker_long_short_vol_ratio DESC NULLS LAST,
        file
),

dropped AS (
    DELETE FROM incoming_metrics AS i USING taken AS t
    WHERE i.create_time = t.create_time AND i.file <> t.file
)

SELECT
    own.file,
    taken.file AS taken,
    min(own.create_time) AS first,
    max(own.create_time) AS last,
    count(*) AS rows
FROM own
JOIN taken ON taken.create_time = own.create_time AND taken.file <> own.file
WHERE (
    own.sum_open_interest, own.sum_open_interest_value,
    own.count_toptrader_long_short_ratio, own.sum_toptrader_long_short_ratio,
    own.count_long_short_ratio, own.sum_taker_long_short_vol_ratio
) IS DISTINCT FROM (
    taken.sum_open_interest, taken.sum_open_interest_value,
    taken.count_toptrader_long_short_ratio, taken.sum_toptrader_long_short_ratio,
    taken.count_long_short_ratio, taken.sum_taker_long_short_vol_ratio
)
GROUP BY own.file, taken.file
ORDER BY own.file, taken.file
