-- Share of the newest bar's volume that takers bought; NULL where the source does not have it.
-- Source: none is needed for a share.
-- grain:   one row per series whose newest bar has volume
-- reads:   bars (series, rn = 1 for the newest bar, volume, taker_buy_volume, close)
-- columns: taker_buy_volume, taker_sell_volume (base units), taker_buy_fraction, price
-- NULL:    all of taker volumes where the source has none
-- Why SQL: arithmetic on one row.
SELECT
    series,
    taker_buy_volume,
    CASE WHEN taker_buy_volume IS NOT NULL THEN greatest(volume - taker_buy_volume, 0) END AS taker_sell_volume,
    taker_buy_volume / volume AS taker_buy_fraction,
    close AS price
FROM bars
WHERE rn = 1 AND volume > 0
