"""Choppiness: whether a range is walked through or wandered about in."""

from __future__ import annotations

from .contract import Indicator, number

choppiness = Indicator(
    id="choppiness",
    title="Choppiness index",
    family="volatility",
    inputs=("high", "low", "close"),
    columns=(number("choppiness", "0 in a straight trend, 100 where a range is gone over again", unit="score"),),
    formula="100 log10(sum of true ranges / (highest high - lowest low)) / log10(period)",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 14},
)
