-- The newest bar itself, with the figures that cards derive from it; NULL where the source does not have what they need.
-- Source: none is needed for the bar itself.
-- grain:   one row per series
-- reads:   bars (series, rn = 1 for the newest bar, and all its values)
-- columns: see the declaration of base_data
-- NULL:    whatever the source has as NULL, and what follows from it; a fraction of nothing
-- Why SQL: arithmetic on one row.
WITH newest AS (
    SELECT
        *,
        try_cast(trunc(trade_count) AS BIGINT) AS trades,
        CASE WHEN taker_buy_volume IS NOT NULL THEN greatest(volume - taker_buy_volume, 0) END AS sell_volume,
        -- greatest() skips NULL: a side that is unknown must stay unknown.
        CASE WHEN quote_volume IS NOT NULL AND taker_buy_quote_volume IS NOT NULL
            THEN greatest(quote_volume - taker_buy_quote_volume, 0) END AS sell_turnover
    FROM bars
    WHERE rn = 1
)

SELECT
    series,
    open,
    high,
    low,
    close,
    close AS price,
    volume,
    quote_volume AS turnover,
    (high - low) / nullif(low, 0) AS range_fraction,
    (close - open) / nullif(open, 0) AS change_fraction,
    trades AS trade_count,
    trades,
    taker_buy_volume,
    taker_buy_volume AS taker_buy,
    taker_buy_quote_volume AS taker_buy_turnover,
    sell_volume AS taker_sell_volume,
    taker_buy_volume / nullif(volume, 0) AS taker_buy_fraction,
    sell_turnover AS taker_sell_turnover,
    taker_buy_quote_volume - sell_turnover AS net_flow,
    quote_volume / nullif(trades, 0) AS turnover_per_trade
FROM newest
