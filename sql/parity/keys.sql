-- The keys of a table in both databases (DuckDB).
-- grain:   one row per key, whichever database has it; spellings of the same moment are the same key
-- reads:   the keys of either side (read_keys), and the parameters symbols and intervals (NULL: all), seed and share
-- columns: symbol, interval, data_time; place_a, place_b: the rowid that counts, the largest, NULL where there is none;
--          rows_a, rows_b: rows of the key, more than one where it is there repeatedly;
--          compared: both have the key, and it is in the sample
CREATE OR REPLACE TEMP TABLE keys AS
WITH stored AS ({rows}),

named AS (
    SELECT
        side,
        CAST(place AS BIGINT) AS place,
        symbol,
        "interval",
        -- Most times are spelled as they shall be; reading and writing them anew takes longer than all else here.
        CASE
            WHEN data_time LIKE '____-__-__T__:__:__+00:00' THEN data_time
            ELSE coalesce(iso_utc(moment(data_time)), data_time)
        END AS data_time
    FROM stored
    WHERE ($symbols::VARCHAR[] IS NULL OR list_contains($symbols, symbol))
        AND ($intervals::VARCHAR[] IS NULL OR list_contains($intervals, "interval"))
),

matched AS (
    SELECT
        symbol,
        "interval",
        data_time,
        max(place) FILTER (WHERE side = 'a') AS place_a,
        max(place) FILTER (WHERE side = 'b') AS place_b,
        count(*) FILTER (WHERE side = 'a') AS rows_a,
        count(*) FILTER (WHERE side = 'b') AS rows_b
    FROM named
    GROUP BY ALL
)

SELECT
    *,
    place_a IS NOT NULL AND place_b IS NOT NULL
    -- By a digest of the key: the same rows in every run, whatever else the databases hold.
    AND md5_number_lower(concat_ws('|', $seed, symbol, "interval", data_time)) < $share * 18446744073709551616.0
        AS compared
FROM matched
