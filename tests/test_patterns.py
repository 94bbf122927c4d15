"""Candlestick functions see the tail of a series only: these tests show how long it must be, and that it is."""

from __future__ import annotations

import numpy as np
import pytest
import talib
from talib import abstract

from candlemill.indicators import evaluate, patterns
from candlemill.indicators.contract import Panel
from candlemill.indicators.kernels import candles
from candlemill.indicators.registry import INDICATORS
from tests import markets

CANDLES = tuple(patterns.CANDLES)
INPUTS = ("open", "high", "low", "close")
#: Bars that a function needs beyond its lookback: a pattern that is confirmed later counts for up to three more bars.
CONFIRMED_LATER = {"CDLHIKKAKE": 3, "CDLHIKKAKEMOD": 3}


def test_the_functions_and_their_order_are_those_of_ta_lib() -> None:
    assert list(patterns.CANDLES) == [name for name in talib.get_functions() if name.startswith("CDL")]


@pytest.mark.parametrize("name", patterns.CANDLES)
def test_a_tail_of_lookback_and_confirmation_gives_the_value_of_the_whole_series(name: str) -> None:
    bars = markets.candles(seed=7, series=400, rows=200)
    needed = getattr(abstract, name).lookback + 1 + CONFIRMED_LATER.get(name, 0)
    assert needed <= candles.TAIL
    prices = [values.T for values in (bars.open, bars.high, bars.low, bars.close)]
    function = getattr(talib, name)
    for series in zip(*prices, strict=True):
        whole = function(*(np.ascontiguousarray(values) for values in series))[-1]
        for tail in {needed, candles.TAIL}:
            assert function(*(np.ascontiguousarray(values[-tail:]) for values in series))[-1] == whole


def test_all_series_at_once_give_what_each_gives_alone() -> None:
    bars = markets.walks(seed=3, series=300)
    together = candles.candlesticks(bars, CANDLES)
    for column in range(bars.series):
        if bars.lengths[column] < candles.TAIL:
            continue
        start = int(bars.first[column])
        prices = [np.array(values[start:, column]) for values in (bars.open, bars.high, bars.low, bars.close)]
        alone = [getattr(talib, name)(*prices)[-1] for name in patterns.CANDLES]
        assert together[:, column].tolist() == alone


def test_neighbours_of_very_different_price_do_not_disturb_each_other() -> None:
    bars = markets.walks(seed=4, series=200)
    fields = {name: values * np.where(np.arange(200) % 2, 2.0**40, 2.0**-40) for name, values in bars.fields.items()}
    scaled = Panel(bars.intervals, 0, bars.symbols, bars.lengths, bars.time, fields)
    assert (candles.candlesticks(scaled, CANDLES) == candles.candlesticks(bars, CANDLES)).all()


@pytest.mark.parametrize("decimals", [9, 0])
def test_price_patterns_count_the_newest_shape_of_each_kind_however_old(decimals: int) -> None:
    """Also where many prices are equal, because they are whole numbers."""
    declared = INDICATORS["candle_patterns"]
    walks = markets.walks(seed=5, series=50)
    fields = {name: np.round(v, decimals) if name in INPUTS else v for name, v in walks.fields.items()}
    bars = Panel(walks.intervals, 0, walks.symbols, walks.lengths, walks.time, fields)
    names, count, *_ = evaluate.finish(declared, bars, evaluate.compute(declared, bars))
    for column in range(bars.series):
        if names.null[column]:
            continue
        shapes = _shapes(bars, column)
        listed = [] if names.values[column] == "无形态" else names.values[column].split(",")
        assert listed[len(listed) - len(shapes) :] == shapes
        assert count.values[column] == len(listed)


def _shapes(bars: Panel, column: int) -> list[str]:
    """The price patterns of one series, bar by bar as they are defined."""
    start = int(bars.first[column])
    high, low, close = (np.array(v[start:, column]).tolist() for v in (bars.high, bars.low, bars.close))
    last: list[str | None] = [None, None, None]

    def narrow(bar: int) -> bool:
        return bool(high[bar] - low[bar] <= 0.05 * (high[bar] + low[bar]) / 2)

    for t in range(2, len(close)):
        top, bottom = max(high[t - 2 : t + 1]), min(low[t - 2 : t + 1])
        if t + 1 < len(close):
            dip = high[t] < high[t - 1] and high[t] < high[t + 1]
            bump = low[t] > low[t - 1] and low[t] > low[t + 1]
            if top > high[t - 1] and top > high[t + 1] and dip:
                last[0] = "头肩顶"
            if bottom < low[t - 1] and bottom < low[t + 1] and bump:
                last[0] = "头肩底"
            if narrow(t - 1) and narrow(t + 1):
                if top >= high[t - 1] and top >= high[t + 1] and dip:
                    last[1] = "双顶"
                if bottom <= low[t - 1] and bottom <= low[t + 1] and bump:
                    last[1] = "双底"
        if top >= high[t - 1] and bottom <= low[t - 1] and close[t] > close[t - 1]:
            last[2] = "上升三角形"
        if top <= high[t - 1] and bottom >= low[t - 1] and close[t] < close[t - 1]:
            last[2] = "下降三角形"
    return [name for name in last if name]
