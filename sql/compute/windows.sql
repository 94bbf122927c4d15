-- The newest bars of all windows of a series, each window a series of its own.
-- grain:   one row per window and bar
-- reads:   sliding, the bars of the series: place (0 is the newest bar of the first window) and what indicators read;
--          ages (rn, falling to 1)
-- columns: series (the window), rn (1 for its newest bar), and those of the bars
-- Order:   of a window the oldest bar first, as the rows of a run are: a compensated sum depends on it
CREATE OR REPLACE TEMP VIEW {name} AS
SELECT
    place + rn - 1 AS series,
    rn,
    sliding.* EXCLUDE (place)
FROM sliding, ages
WHERE rn <= {newest} AND place + rn BETWEEN 1 AND {windows}
