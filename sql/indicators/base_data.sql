-- The newest bar itself, with the figures that cards derive from it.
-- grain:   one row per series
-- reads:   bars (series, rn = 1 for the newest bar, and all its values)
-- columns: see the declaration of base_data
-- NULL:    the taker columns where the source has neither taker volume nor taker turnover; turnover falls back to
--          volume x close, trade counts to 0, a missing taker volume or turnover to the other one at the close
-- Why SQL: arithmetic and COALESCE on one row.
WITH newest AS (
    SELECT
        *,
        coalesce(quote_volume, volume * close) AS turnover,
        coalesce(try_cast(trunc(trade_count) AS BIGINT), 0) AS trades
    FROM bars
    WHERE rn = 1
),

completed AS (
    SELECT
        * REPLACE (
            coalesce(taker_buy_volume, taker_buy_quote_volume / nullif(close, 0)) AS taker_buy_volume,
            coalesce(taker_buy_quote_volume, CASE WHEN close <> 0 THEN taker_buy_volume * close END)
                AS taker_buy_quote_volume
        )
    FROM newest
),

sold AS (
    SELECT
        *,
        -- greatest() skips NULL: a side that is unknown must stay unknown.
        CASE WHEN taker_buy_volume IS NOT NULL AND taker_buy_quote_volume IS NOT NULL
            THEN greatest(volume - taker_buy_volume, 0) END AS sell_volume,
        CASE WHEN taker_buy_volume IS NOT NULL AND taker_buy_quote_volume IS NOT NULL
            THEN greatest(turnover - taker_buy_quote_volume, 0) END AS sell_turnover
    FROM completed
)

SELECT
    series,
    open,
    high,
    low,
    close,
    close AS price,
    volume,
    turnover,
    CASE WHEN low = 0 THEN 0 ELSE (high - low) / low END AS range_fraction,
    CASE WHEN open = 0 THEN 0 ELSE (close - open) / open END AS change_fraction,
    trades AS trade_count,
    trades,
    taker_buy_volume,
    taker_buy_volume AS taker_buy,
    taker_buy_quote_volume AS taker_buy_turnover,
    sell_volume AS taker_sell_volume,
    CASE WHEN sell_volume IS NOT NULL THEN CASE WHEN volume = 0 THEN 0 ELSE taker_buy_volume / volume END END
        AS taker_buy_fraction,
    sell_turnover AS taker_sell_turnover,
    taker_buy_quote_volume - sell_turnover AS net_flow,
    CASE WHEN trades = 0 THEN 0 ELSE turnover / trades END AS turnover_per_trade
FROM sold
