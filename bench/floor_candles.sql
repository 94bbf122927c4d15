-- The floor of reading: the candles that a pass keeps, as a plain reader asks for them (PostgreSQL, by COPY).
-- grain:   one row per (symbol, bucket_ts), the newest {lookback} bars; the market's bars have no gaps
-- cast:    ::double precision, or nothing for the values as they are stored
SELECT
    symbol,
    bucket_ts,
    open{cast},
    high{cast},
    low{cast},
    close{cast},
    volume{cast},
    quote_volume{cast},
    trade_count{cast},
    taker_buy_volume{cast},
    taker_buy_quote_volume{cast}
FROM market_data.{relation}
WHERE exchange = {exchange}
    AND bucket_ts > {newest} - {lookback} * {length}::interval
    AND bucket_ts <= {newest}
