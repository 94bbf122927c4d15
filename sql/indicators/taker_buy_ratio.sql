-- Share of the newest bar's volume that takers bought.
-- grain:   one row per series whose newest bar has volume
-- reads:   bars (series, rn = 1 for the newest bar, volume, taker_buy_volume, close)
-- columns: taker_buy_volume, taker_sell_volume (base units), taker_buy_fraction, price
-- NULL:    never; a taker volume that the source does not have counts as 0
-- Why SQL: arithmetic on one row.
SELECT
    series,
    coalesce(taker_buy_volume, 0) AS taker_buy_volume,
    greatest(volume - coalesce(taker_buy_volume, 0), 0) AS taker_sell_volume,
    coalesce(taker_buy_volume, 0) / volume AS taker_buy_fraction,
    close AS price
FROM bars
WHERE rn = 1 AND volume > 0
