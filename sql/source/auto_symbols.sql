-- The symbols that a desk looks at by default, with the rules that chose each (PostgreSQL, sent by ConnectorX).
-- grain:   one row per chosen symbol
-- columns: symbol, rules (comma list: turnover, range, move, open_interest, taker_ratio, account_ratio)
-- NULL:    ranks last, and never exceeds a threshold
WITH bars AS (
    {bars}
),

day AS (
    SELECT
        symbol,
        sum(quote_volume) AS turnover,
        avg((high - low) / nullif(close, 0)) AS swing,
        (array_agg(close ORDER BY bucket_ts DESC) FILTER (WHERE bucket_ts > {as_of} - interval '1 hour'))[1] AS now
    FROM bars
    WHERE bucket_ts > {as_of} - interval '24 hours'
    GROUP BY symbol
),

yesterday AS (
    SELECT DISTINCT ON (symbol) symbol, close
    FROM bars
    WHERE bucket_ts > {as_of} - interval '25 hours' AND bucket_ts <= {as_of} - interval '23 hours'
    ORDER BY symbol, bucket_ts DESC
),

candles AS (
    SELECT day.symbol, turnover, swing, abs(now - yesterday.close) / nullif(yesterday.close, 0) AS move
    FROM day
    LEFT JOIN yesterday ON yesterday.symbol = day.symbol
),

metrics AS (
    {metrics}
),

chosen AS (
    (SELECT symbol, 1 AS place, 'turnover' AS rule FROM candles ORDER BY turnover DESC NULLS LAST, symbol LIMIT {top})
    UNION ALL
    (SELECT symbol, 2, 'range' FROM candles ORDER BY swing DESC NULLS LAST, symbol LIMIT {top})
    UNION ALL
    (SELECT symbol, 3, 'move' FROM candles ORDER BY move DESC NULLS LAST, symbol LIMIT {top})
    UNION ALL
    (SELECT symbol, 4, 'open_interest' FROM metrics ORDER BY value DESC NULLS LAST, symbol LIMIT {top})
    UNION ALL
    SELECT symbol, 5, 'taker_ratio' FROM metrics WHERE taker < 0.2 OR taker > 5.0
    UNION ALL
    SELECT symbol, 6, 'account_ratio' FROM metrics WHERE account < 0.5 OR account > 4.0
)

SELECT symbol::text AS symbol, string_agg(rule, ',' ORDER BY place) AS rules
FROM chosen
GROUP BY symbol
ORDER BY symbol
