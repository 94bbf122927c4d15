-- The bars of one interval for all symbols of a run, packed (PostgreSQL, in bulk, which cannot bind; see packed.sql).
-- grain:   one row per symbol, and one more where older bars are sent
-- columns: symbol, found (number of its rows), lines (text: microseconds since 1970, then the fields, one row a line)
-- NULL:    as in packed.sql
-- reads:   the bars of the newer and of the older half of a window (newer_candles.sql)
-- The window is twice as long as the bars wanted, for the sake of series with gaps. Of a series that has them all in the
-- newer half nothing older is sent, which the rows of that half tell while they are packed. The newest bars of each
-- symbol are picked by the reader, which is cheaper than a window function over all rows here.
WITH near AS MATERIALIZED (
    SELECT
        symbol,
        count(*) AS found,
        {lines} AS lines,
        count({counted}) FILTER (WHERE bucket_ts <= {closed}) AS bars
    FROM (
        {newer}
    ) AS given
    GROUP BY symbol
)

SELECT symbol, found, lines FROM near
UNION ALL
SELECT symbol, count(*), {lines}
FROM (
    {older}
) AS given
WHERE symbol IS NOT NULL
    AND NOT EXISTS (SELECT FROM near WHERE near.symbol = given.symbol AND near.bars >= {lookback})
GROUP BY symbol
