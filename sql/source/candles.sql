-- The bars of one interval for all symbols of a run, packed (PostgreSQL, in bulk, which cannot bind; see packed.sql).
-- grain:   one row per symbol, and one more where older bars are sent
-- columns: symbol, found (number of its rows), lines (text: microseconds since 1970, then the fields, one row a line)
-- NULL:    as in packed.sql
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
        SELECT symbol::text AS symbol, bucket_ts::timestamptz AS bucket_ts, {values}
        FROM market_data.{relation}
        WHERE exchange = {exchange} AND bucket_ts > {near} AND bucket_ts <= {until} AND {chosen}
    ) AS given
    GROUP BY symbol
)

SELECT symbol, found, lines FROM near
UNION ALL
SELECT symbol, count(*), {lines}
FROM (
    SELECT older.symbol::text AS symbol, older.bucket_ts::timestamptz AS bucket_ts, {values}
    FROM market_data.{relation} AS older
    WHERE exchange = {exchange}
        AND bucket_ts > {after}
        AND bucket_ts <= {near}
        AND {chosen}
        AND symbol IS NOT NULL
        AND NOT EXISTS (SELECT FROM near WHERE near.symbol = older.symbol AND near.bars >= {lookback})
) AS given
GROUP BY symbol
