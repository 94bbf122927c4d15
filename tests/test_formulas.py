"""Values of indicators that can be worked out by hand: ties, thresholds, limits, and the bars that are needed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from candlemill.indicators import evaluate, profile
from candlemill.indicators.contract import METRIC_FIELDS, Panel
from candlemill.indicators.profiles import PARITY
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import Pivot
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import markets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from candlemill.indicators.contract import Floats

MINUTE = 60_000_000
BEGIN = 1_700_000_000_000_000


def bars(close: ArrayLike, **fields: ArrayLike) -> Panel:
    """One series. A bar opens and stays where it closes, and 1 coin is traded, half of it bought by takers."""
    closes = np.array(close, dtype=np.float64)
    usual: dict[str, ArrayLike] = dict.fromkeys(("open", "high", "low"), closes)
    usual.update({"volume": 1.0, "quote_volume": closes, "trade_count": 1.0})
    usual.update({"taker_buy_volume": 0.5, "taker_buy_quote_volume": closes / 2}, **fields)
    columns = {name: np.zeros(len(closes)) + np.array(values, dtype=np.float64) for name, values in usual.items()}
    return markets.panel({name: values[:, None] for name, values in (columns | {"close": closes}).items()})


def row(id_: str, panel: Panel, profile: str = PARITY, **parameters: Any) -> dict[str, Any]:
    """The finished row of the one series of a panel, as of an indicator that the replaced service never had."""
    declared = replace(INDICATORS[id_], stored=None)  # type: ignore[arg-type]
    given = declared.given(parameters) if parameters else None
    if declared.function(profile):
        values = evaluate.compute(declared, panel, given, profile)
    else:
        with open_duckdb() as connection:
            sql = SqlIndicators(connection)
            pivot = Pivot(panel, markets.ranked(panel, panel.rows), Counter())
            sql.load(declared.source, [pivot], newest=panel.rows)
            values = sql.compute(declared, panel, given, profile)
    cells = evaluate.finish(declared, panel, values, given, profile)
    return {cell.column.name: None if cell.null[0] else cell.values[0] for cell in cells}


def metrics(interval: str = "5m", minutes: Sequence[float] | None = None, age: float = 0, **fields: Any) -> Panel:
    """Metrics rows of one symbol, one by one ``minutes`` after the first, the newest ``age`` seconds old."""
    rows = len(minutes) if minutes is not None else max(len(values) for values in fields.values())
    at = np.array(minutes if minutes is not None else np.arange(rows) * 5.0)
    time = BEGIN + np.rint(at * MINUTE).astype(np.int64)
    given = dict.fromkeys(METRIC_FIELDS, np.ones(rows)) | {n: np.array(v, dtype=np.float64) for n, v in fields.items()}
    as_of = int(time[-1] + age * 1_000_000)
    columns: dict[str, Floats] = {name: np.array(values)[:, None] for name, values in given.items()}
    totals = {"open_interest_value": np.array([200.0])}
    return Panel([interval], as_of, ["S"], np.array([rows]), time[:, None], columns, totals)


# --- the bars that a formula needs


@pytest.mark.parametrize(
    ("id_", "needed"),
    [
        ("macd", 26 + 9),
        ("supertrend", 10 + 1),
        ("ema_gc", 99),
        ("ema_ribbon", 100),
        ("adx", 14 + 14),
        ("ichimoku", 26),
        ("zero_lag_band_cross", 70),
        # A band over 210 bars, and a bar before it, from which the state may have changed.
        ("zero_lag_trend_state", 210 + 1),
        ("trend_cloud_reversal", 200),
        ("smoothed_heikin_ashi", 10 + 10),
        # A pivot has 20 bars on either side.
        ("trend_line_rank", 20 + 1 + 20),
        # A range of 9 bars; K from the third position on, D from the third K on.
        ("kdj", 9 + 2 + 2),
        ("williams_r", 14),
        ("mfi", 14 + 1),
        ("scalping", 21 + 1),
        ("harmonic_rsi", 33 + 1),
        ("cci", 20),
        ("smart_rsi", 21 + 1),
        ("atr_bands", 30),
        ("bollinger", 20),
        ("donchian", 20),
        ("keltner", 20),
        ("vwma_fib_bands", 200 + 1),
        ("base_data", 1),
        ("taker_buy_ratio", 1),
        ("volume_ratio", 20),
        ("obv", 29 + 1),
        ("cvd", 2),
        ("vwap", 10),
        ("vpvr_profile", 5),
        ("liquidity_score", 50),
        ("support_resistance", 20),
        ("smart_money_structure", 34),
        ("candle_patterns", 10),
        ("futures_sentiment", 1),
        ("futures_aggregate", 1),
        ("data_monitor", 1),
        ("futures_gap_monitor", 1),
    ],
)
def test_the_bars_that_a_formula_needs(id_: str, needed: int) -> None:
    assert INDICATORS[id_].bars_needed() == needed


@pytest.mark.parametrize("id_", ["donchian", "williams_r", "volume_ratio"])
def test_a_window_of_fixed_length_has_values_from_the_bars_that_it_needs(id_: str) -> None:
    closes = np.arange(1.0, INDICATORS[id_].bars_needed() + 1)
    assert None not in row(id_, bars(closes)).values()
    assert set(row(id_, bars(closes[:-1])).values()) == {None}


# --- trend


def test_macd_of_a_flat_price_that_moves_in_its_last_bar() -> None:
    # The averages move by 2/13 and 2/27 of the step, DEA by a fifth of their difference. Before, all lines are equal.
    dif = 2 / 13 - 2 / 27
    for step, signal in ((1, "金叉/零轴上穿"), (-1, "死叉/零轴下破")):
        found = row("macd", bars([100.0] * 49 + [100.0 + step]))
        assert found["signal"] == signal
        assert found["dif"] == found["macd"] == pytest.approx(step * dif)
        assert found["dea"] == found["signal_line"] == pytest.approx(step * dif / 5)
        assert found["histogram"] == pytest.approx(step * dif * 8 / 5)
    flat = row("macd", bars([100.0] * 50))
    assert (flat["signal"], flat["dif"], flat["dea"], flat["histogram"]) == ("延续", 0, 0, 0)
    # A bar later the lines have crossed already.
    assert row("macd", bars([100.0] * 48 + [101.0] * 2))["signal"] == "延续"


def test_ema_gc_of_equal_averages() -> None:
    flat = row("ema_gc", bars([100.0] * 120))
    assert (flat["trend"], flat["width_score"]) == ("震荡", 0)
    # One step moves the faster averages further, and none as far as the close.
    assert row("ema_gc", bars([100.0] * 119 + [101.0]))["trend"] == "多头排列"
    assert row("ema_gc", bars([100.0] * 119 + [99.0]))["trend"] == "空头排列"


def test_ema_ribbon_counts_averages_that_move_away_from_the_slowest() -> None:
    # All 17 faster averages rise and lie above the slowest, which does not lie above itself.
    up, down, flat = (row("ema_ribbon", bars([100.0] * 119 + [close])) for close in (101.0, 99.0, 100.0))
    assert (up["bullish_fraction"], up["bearish_fraction"]) == (17 / 18, 0)
    assert (up["signal"], up["direction"], up["strength"]) == ("买入", "多头", pytest.approx(10 * 17 / 18))
    assert (down["signal"], down["direction"], down["strength"]) == ("卖出", "空头", pytest.approx(10 * 17 / 18))
    assert (flat["signal"], flat["direction"], flat["strength"]) == ("观望", "空头", 0)


def test_a_ribbon_of_some_averages_agrees_from_its_share_on() -> None:
    # Of 10 averages 9 agree: the share wanted may be 0.9 and no more.
    periods = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    for agreeing, signal in ((0.9, "买入"), (0.91, "观望")):
        assert row("ema_ribbon", bars([100.0] * 60 + [101.0]), periods=periods, agreeing=agreeing)["signal"] == signal


def test_adx_of_a_price_that_stands_still() -> None:
    assert row("adx", bars([100.0] * 60)) == {"adx": 0, "plus_di": 0, "minus_di": 0}
    # Of equal moves up and down neither counts.
    wide = [100.0] * 59, [101.0] * 59
    found = row("adx", bars([100.0] * 60, high=[*wide[1], 102.0], low=[*wide[0], 99.0]))
    assert (found["plus_di"], found["minus_di"]) == (0, 0)


@pytest.mark.parametrize(("length", "span_b"), [(51, 0), (52, 26.5), (60, 34.5)])
def test_the_second_span_of_ichimoku_takes_52_bars(length: int, span_b: float) -> None:
    # Bars 1 to n close at their number, half-way between their low and their high: a window of the last w bars reaches
    # from n - w to n + 1, its middle is n - (w - 1) / 2.
    closes = np.arange(1.0, length + 1)
    found = row("ichimoku", bars(closes, high=closes + 1, low=closes - 1))
    assert (found["conversion"], found["base"], found["span_a"]) == (length - 4, length - 12.5, length - 8.25)
    assert found["span_b"] == span_b
    assert (found["signal"], found["direction"]) == ("BUY", "多")
    assert found["strength"] == pytest.approx(8.25 / (length - 8.25 - span_b))


def test_ichimoku_on_the_edges_of_the_cloud() -> None:
    # All of 52 bars reach from 90 to 110, so that all lines lie at 100 but for the bars that are given.
    calm = {"high": [110.0] * 60, "low": [90.0] * 60}
    for close, signal, strength in ((100.0, "NEUTRAL", 0.5), (101.0, "NEUTRAL", 1.0), (99.0, "NEUTRAL", 1.0)):
        found = row("ichimoku", bars([100.0] * 59 + [close], **calm))
        assert (found["signal"], found["strength"]) == (signal, strength)
    # The last 9 bars are higher: conversion 105, base 102.5 (90 to 115), spans 103.75 and 102.5.
    high, low = [110.0] * 51 + [115.0] * 9, [90.0] * 51 + [95.0] * 9
    for close, signal, strength in ((103.75, "NEUTRAL", 0.5), (104.375, "BUY", 0.5), (102.5, "NEUTRAL", 0.5)):
        found = row("ichimoku", bars([100.0] * 59 + [close], high=high, low=low))
        assert (found["conversion"], found["base"], found["span_a"], found["span_b"]) == (105, 102.5, 103.75, 102.5)
        assert (found["signal"], found["strength"]) == (signal, pytest.approx(strength))


def test_the_periods_of_the_ribbon() -> None:
    assert INDICATORS["ema_ribbon"].defaults.periods == (*range(5, 85, 5), 90, 100)


def test_zero_lag_trends_of_a_flat_price_that_moves_in_its_last_bar() -> None:
    # The price runs ahead of its average by 2, which moves by 2/71 of that. The one true range makes an ATR of 1/70.
    band = 1.2 / 70
    for step, signal, side in ((1, "买入", "多头"), (-1, "卖出", "空头")):
        found = row("zero_lag_trend_state", bars([100.0] * 299 + [100.0 + step]))
        average = 100 + step * 4 / 71
        assert (found["signal"], found["direction"], found["state"]) == (signal, side, step)
        assert (found["average"], found["band"]) == (pytest.approx(average), pytest.approx(band))
        assert (found["upper"], found["lower"]) == (pytest.approx(average + band), pytest.approx(average - band))
        assert found["strength"] == pytest.approx((1 - 4 / 71) / band * 100)
        # A bar later nothing changes any more.
        later = row("zero_lag_trend_state", bars([100.0] * 298 + [100.0 + step] * 2))
        assert (later["signal"], later["direction"], later["state"]) == ("观望", side, step)
        panel = bars([100.0] * 299 + [100.0 + step])
        found = row("zero_lag_band_cross", panel)
        assert (found["trend"], found["bars_in_trend"]) == ("多" if step > 0 else "空", 1)
        assert found["turned_at"] == panel.time[-1, 0]
        assert found["trend_band"] == pytest.approx(average - step * band)
        assert found["strength"] == pytest.approx(step * (1 - 4 / 71 + band) / band)
    flat = row("zero_lag_trend_state", bars([100.0] * 300))
    assert (flat["signal"], flat["direction"], flat["state"], flat["strength"]) == ("观望", "震荡", 0, None)
    panel = bars([100.0] * 300)
    flat = row("zero_lag_band_cross", panel)
    assert (flat["trend"], flat["bars_in_trend"], flat["turned_at"]) == ("空", 300, panel.time[0, 0])
    assert (flat["trend_band"], flat["strength"], flat["volume_bias"]) == (100, None, None)


def test_the_volume_bias_of_twenty_bars() -> None:
    # Of the newest 20 bars 5 rise with 3 coins each, 10 fall with 1, the others stand still: (15 - 10) / 12.5.
    opened = [100.0] * 290 + [101.0] * 10
    closed = [100.0] * 280 + [100.5] * 5 + [100.0] * 15
    volume = [9.0] * 280 + [3.0] * 5 + [7.0] * 5 + [1.0] * 10
    assert row("zero_lag_band_cross", bars(closed, open=opened, volume=volume))["volume_bias"] == 5 / 12.5
    # The bar before them does not count.
    opened[279] = 50.0
    assert row("zero_lag_band_cross", bars(closed, open=opened, volume=volume))["volume_bias"] == 5 / 12.5


@pytest.mark.parametrize(
    ("newest", "pattern", "impulse"),
    # Opens and closes of the newest bars after 96 at 100, far above the slow average; the last body in percent of the
    # mean body of 15 bars.
    [
        ([(100, 99), (99, 98), (98, 97), (97, 98.5)], "三线打击", 1.5 / (4.5 / 15) * 100),
        # The open of the bar before is reached and not exceeded.
        ([(100, 99), (99, 98), (98, 97), (97, 98)], "无", None),
        # One of the three stands still: what is left engulfs the bar before.
        ([(99, 99), (99, 98), (98, 97), (97, 98.5)], "吞没形态", 1.5 / (3.5 / 15) * 100),
        ([(99, 98), (98, 98), (98, 97), (97, 98.5)], "吞没形态", 1.5 / (3.5 / 15) * 100),
        ([(99, 98), (98, 97.5), (98, 98), (97, 98.5)], "吞没形态", 1.5 / (3.0 / 15) * 100),
        # It opens above the close before it, or at its open, or does not reach beyond it.
        ([(98, 98), (98, 98), (98, 97), (97.5, 98.5)], "无", None),
        ([(98, 98), (98, 98), (98, 99), (98, 98.5)], "无", None),
        ([(98, 98), (98, 98), (98, 97), (96, 98)], "无", None),
    ],
)
def test_reversal_patterns_at_their_bounds(
    newest: list[tuple[float, float]], pattern: str, impulse: float | None
) -> None:
    for sign, signal, side in ((1, "买入", "多头"), (-1, "卖出", "空头")):
        # Mirrored at 100, the same with the slow average on the other side.
        opened, closed = ([100 + sign * (bar[k] - 100) for bar in newest] for k in (0, 1))
        beginning = [100.0 - sign * 20] * 100 + [100.0] * 96
        found = row("trend_cloud_reversal", bars([*beginning, *closed], open=[*beginning, *opened]))
        assert (found["pattern"], found["direction"]) == (pattern, side)
        assert found["signal"] == ("观望" if impulse is None else signal)
        # Otherwise the distance from the slow average counts, but no more than 5 %.
        assert found["strength"] == pytest.approx(5 if impulse is None else impulse)


def test_a_price_that_never_moved_has_no_trend() -> None:
    found = row("trend_cloud_reversal", bars([100.0] * 200))
    assert (found["direction"], found["strength"], found["smma200"], found["ema2"]) == ("震荡", 0, 100, 100)


# --- momentum


def test_kdj_where_k_and_d_are_equal_before_they_cross() -> None:
    # A close in the middle of the range: K = D = 50. At its upper end K goes a third of the way to 100, D a third of
    # that of K: K = 66.67, D = 55.56, J = 200 - 111.11 = 88.89. A bar later K = 77.78, D = 62.96 and J = 107.41.
    span = {"high": [11.0] * 60, "low": [9.0] * 60}
    for close, k, d, signal in ((11.0, 50 + 50 / 3, 50 + 50 / 9, "金叉"), (9.0, 50 - 50 / 3, 50 - 50 / 9, "死叉")):
        found = row("kdj", bars([10.0] * 59 + [close], **span))
        assert (found["k"], found["d"], found["j"]) == (
            pytest.approx(k),
            pytest.approx(d),
            pytest.approx(3 * k - 2 * d),
        )
        assert found["signal"] == signal
    assert row("kdj", bars([10.0] * 60, **span))["signal"] == "延续"
    later = row("kdj", bars([10.0] * 58 + [11.0] * 2, **span))
    assert (later["j"], later["signal"]) == (pytest.approx(50 + 50 * 31 / 27), "J>100 极值")
    later = row("kdj", bars([10.0] * 58 + [9.0] * 2, **span))
    assert (later["j"], later["signal"]) == (pytest.approx(50 - 50 * 31 / 27), "J<0 极值")


@pytest.mark.parametrize(("close", "j"), [(11.0, 100), (9.0, 0)])
def test_a_j_of_exactly_100_or_0_is_not_extreme(close: float, j: float) -> None:
    found = row("kdj", bars([close] * 60, high=[11.0] * 60, low=[9.0] * 60))
    assert (found["j"], found["signal"]) == (j, "延续")


def test_d_begins_with_the_third_k_and_k_with_the_third_position() -> None:
    # Bars without a range have no position. Of 9 bars with one, the first has a window with a range, and so have all
    # that follow: K from bar 3 on, D from bar 5 on.
    for moving in (4, 5):
        high = [10.0] * 50 + [11.0] * moving
        found = row("kdj", bars([10.0] * (50 + moving), high=high))
        assert (found["k"] is None, found["d"] is None) == (moving < 5, moving < 5)


def test_the_scalping_signal_at_an_rsi_of_exactly_50() -> None:
    # A fall of 13 and a rise of 13 x 13/14 a bar later have the same weight in Wilder's smoothing.
    for sign in (-1, 1):
        found = row("scalping", bars([100.0] * 60 + [100 + sign * 13.0, 100 + sign * 13 * (1 - 13 / 14)]))
        assert found["rsi"] == 50
        assert (found["ema9"] > found["ema21"]) == (sign > 0)
        assert found["signal"] == "观望"


def leaning(sign: int, slope: float, turn: float) -> Panel:
    """A jump 120 bars ago, then a slow drift back that lasts, with one step of ``turn`` against it 14 bars ago.

    After so long the averages of the price still approach it from the side where it came from, and its RSIs have
    forgotten the jump. The close before the step and a wick 7 bars from the end are pivots.
    """
    moves = np.resize([0.001, -0.001], 400)
    moves[279], moves[280:], moves[385] = 10.0, -slope, turn
    close = 100 + sign * np.cumsum(moves)
    behind, ahead = close.copy(), close.copy()
    behind[392] -= sign * 2
    ahead[[354, 364]] += sign
    return bars(close, high=ahead if sign > 0 else behind, low=behind if sign > 0 else ahead)


@pytest.mark.parametrize(
    ("sign", "slope", "turn", "thresholds", "bonus"),
    [
        (1, 0.0007, 0.0084, {}, None),
        (-1, 0.0007, 0.0112, {}, None),
        # The RSI at the second pivot is more than twice that at the first: no more than 100 counts, half of it.
        (1, 0.0007, 0.028, {"oversold": 60.0}, 50),
        # A strength has an end.
        (1, 0.0007, 0.0084, {"oversold": 1000.0}, 100),
    ],
)
def test_a_divergence_that_agrees_adds_half_its_size(
    sign: int, slope: float, turn: float, thresholds: dict[str, float], bonus: float | None
) -> None:
    panel = leaning(sign, slope, turn)
    found = row("smart_rsi", panel, PARITY, **thresholds)
    assert (found["signal"], found["divergence"]) == (("买入", "底背离") if sign > 0 else ("卖出", "顶背离"))
    # The RSI at a bar is that of the series that ends there.
    before, now = (row("smart_rsi", cut(panel, length))["rsi14"] for length in (385, 393))
    size = sign * (now - before) / before * 100
    if bonus is None:
        assert 0 < size < 50
        bonus = size / 2
    low, high, mean = found["oversold"], found["overbought"], found["rsi_mean"]
    distance = abs(low - mean) / low if sign > 0 else abs(mean - high) / (100 - high)
    assert found["strength"] == pytest.approx(min(100, distance * 100 + bonus))


def cut(panel: Panel, length: int) -> Panel:
    """The oldest bars of a panel."""
    return markets.panel({name: values[:length] for name, values in panel.fields.items()})


def test_the_thresholds_of_the_smart_rsi_follow_volatility_within_limits() -> None:
    # The average true range is at the top of its own history, then at its bottom: the factor is 1.1, then 0.9.
    # Thresholds are 70 times and 30 by the factor, but no more than 80 and no less than 20.
    closes = 100 + np.resize([0.0, 1.0], 60)
    ranges = {"growing": np.linspace(1, 2, 60), "shrinking": np.linspace(2, 1, 60)}
    for kind, factor in (("growing", 1.1), ("shrinking", 0.9)):
        panel = bars(closes, high=closes + ranges[kind], low=closes - ranges[kind])
        found = row("smart_rsi", panel)
        assert (found["overbought"], found["oversold"]) == (pytest.approx(70 * factor), pytest.approx(30 / factor))
        found = row("smart_rsi", panel, overbought=90.0, oversold=15.0)
        assert (found["overbought"], found["oversold"]) == (80, 20)
        found = row("smart_rsi", panel, overbought=72.0, oversold=22.5)
        assert (found["overbought"], found["oversold"]) == (
            pytest.approx(72 * factor),
            pytest.approx(max(20, 22.5 / factor)),
        )


# --- volatility


def of_exact_deviation(basis: float, before: float, close: float) -> Panel:
    """201 bars, of which the newest 200 have a mean of 100, a sample deviation of exactly 2, and ``basis`` as VWMA.

    The squares of the deviations are 64 x 8 + 4 x 18 + 5 x 32 + 4 x 12.5 + 4 x 0.5 = 796 = 199 x 4. Only a bar at
    ``basis`` has volume; the newest two bars are ``before`` and ``close``.
    """
    values = [100.0] * 38
    for count, deviation in ((64, 2), (4, 3), (5, 4), (4, 2.5), (4, 0.5)):
        values += [100.0 + deviation, 100.0 - deviation] * count
    for value in (basis, before, close):
        values.remove(value)
    return bars([100.0, basis, *values, before, close], volume=[0.0, 1.0] + [0.0] * 199)


@pytest.mark.parametrize(
    ("basis", "before", "close", "signal", "strength", "zone"),
    # Bands lie 1.416, 2.292, 3, 3.708, 4.584 and 6 beside the basis. The distance in percent of 6 makes the strength.
    [
        # On a band is not beyond it; a bar that was on it and is beyond it has left it.
        (97.0, 99.5, 100.0, "观望", 50 / 10, "上通道(1.0)"),
        (103.0, 100.5, 100.0, "观望", 50 / 10, "下通道(1.0)"),
        (97.0, 100.0, 102.0, "买入", 3 * 2, "上通道(1.0)"),
        (103.0, 100.0, 98.0, "卖出", 3 * 2, "下通道(1.0)"),
        # The same of the widest band, beyond which is the outside.
        (97.0, 102.0, 103.0, "观望", 6, "上通道(1.0)"),
        (103.0, 98.0, 97.0, "观望", 6, "下通道(1.0)"),
        (96.0, 99.5, 103.0, "买入", 4 * 2, "中间"),
        (104.0, 100.5, 97.0, "卖出", 4 * 2, "中间"),
        # A quarter of the width beyond the basis, half of what counts.
        (98.0, 98.0, 99.5, "买入", 1 * (1 + 25 / 50), "上通道(1.0)"),
        (102.0, 102.0, 100.5, "卖出", 1 * (1 + 25 / 50), "下通道(1.0)"),
        # The narrowest band that was left counts.
        (98.0, 98.0, 104.0, "买入", 1 * 2, "上通道(1.0)"),
        # A close at the basis lies above.
        (100.0, 100.0, 100.0, "观望", 0, "上通道(1.0)"),
    ],
)
def test_fibonacci_bands_of_an_exact_deviation(
    basis: float, before: float, close: float, signal: str, strength: float, zone: str
) -> None:
    found = row("vwma_fib_bands", of_exact_deviation(basis, before, close))
    direction = {"买入": "多头", "卖出": "空头", "观望": "多头" if close >= basis else "空头"}[signal]
    assert (found["basis"], found["signal"], found["direction"], found["zone"]) == (basis, signal, direction, zone)
    assert found["strength"] == pytest.approx(strength)


# --- volume


def test_the_classes_of_the_volume_ratio_begin_beyond_their_bounds() -> None:
    # The newest volume, and how the 19 before it make the mean a round number.
    for volume, others, ratio, word in (
        (5.0, [1.0] * 15 + [0.0] * 4, 5, "异常放量"),
        (4.0, [2.0] * 17 + [1.0] * 2, 2, "放量"),
        (1.0, [1.0] * 19, 1, "正常"),
        (7.0, [10.0] * 18 + [13.0], 0.7, "正常"),
        (6.0, [10.0] * 18 + [14.0], 0.6, "缩量"),
    ):
        found = row("volume_ratio", bars([100.0] * 20, volume=[*others, volume]), period=20)
        assert (found["volume_ratio"], found["signal"]) == (pytest.approx(ratio), word)


@pytest.mark.parametrize(
    ("volumes", "area", "first", "last", "coverage"),
    [
        # The fullest of four bins, and its neighbours one by one, down to the last.
        ([1, 2, 3, 10], 1.0, 0, 3, 100),
        ([10, 3, 2, 1], 1.0, 0, 3, 100),
        # Of equal neighbours the lower one; no further once the share is reached.
        ([2, 5, 2, 1], 0.7, 0, 1, 70),
        ([2, 5, 2, 1], 0.71, 0, 2, 90),
        ([1, 5, 2, 2], 0.7, 1, 2, 70),
        ([0, 0, 0, 4], 0.7, 3, 3, 100),
    ],
)
def test_the_value_area_grows_from_the_fullest_bin(
    volumes: list[float], area: float, first: int, last: int, coverage: float
) -> None:
    # Closes at 1, 2, 3 and 5 lie in bins 0 to 3 of the range from 1 to 5, whose edges they are.
    panel = bars([1.0, 2.0, 3.0, 5.0, 3.0], volume=[*volumes, 0.0])
    found = row("vpvr_profile", panel, bins=4, area=area)
    bottom, top = 1.0 + first, 2.0 + last
    assert (found["value_area_low"], found["value_area_high"]) == (bottom, top)
    assert found["coverage"] == pytest.approx(coverage)
    peak = 1.5 + volumes.index(max(volumes))
    assert (found["point_of_control"], found["control_volume"]) == (peak, max(volumes))
    assert found["width_percent"] == pytest.approx((top - bottom) / peak * 100)
    assert found["position"] == ("价值区上方" if top < 3 else "价值区下方" if bottom > 3 else "价值区内")


def test_nodes_of_the_profile_at_their_bounds() -> None:
    # 7 is 0.7 of 10, 2.5 is a quarter of it; a bin without volume is no node.
    for volumes, high, low in (
        ([7.0, 10.0, 2.5, 0.0], "1.5,2.5", "3.5"),
        ([6.9, 10.0, 2.6, 0.0], "2.5", ""),
        ([10.0, 0.0, 0.0, 1.0], "1.5", "4.5"),
    ):
        found = row("vpvr_profile", bars([1.0, 2.0, 3.0, 5.0, 3.0], volume=[*volumes, 0.0]), bins=4)
        assert (found["high_nodes"], found["low_nodes"]) == (high, low)


def test_a_profile_of_one_price_has_a_range_of_a_thousandth_on_either_side() -> None:
    found = row("vpvr_profile", bars([100.0] * 5), bins=4, area=1.0)
    assert found["value_area_high"] - found["value_area_low"] == pytest.approx(0.2 / 4)
    assert row("vpvr_profile", bars([1e-9] * 5), bins=4)["value_area_width"] == pytest.approx(2e-6 / 4)


@pytest.mark.parametrize(("takers", "known"), [(60, True), (59, False)])
def test_kyles_slope_wants_takers_of_six_tenths_of_the_bars(takers: int, known: bool) -> None:
    closes = 100 + np.resize([0.0, 1.0, 3.0], 100)
    bought = np.where(np.arange(100) <= takers, np.resize([0.2, 0.9], 100), math.nan)
    found = row("liquidity_score", bars(closes, taker_buy_volume=bought))
    assert (found["kyle"] != 0, found["kyle_score"] != 0) == (known, known)


def test_the_grade_of_liquidity_follows_from_its_score() -> None:
    declared, panel = INDICATORS["liquidity_score"], markets.walks(0, 3000)
    found = {
        cells.column.name: cells.values for cells in evaluate.finish(declared, panel, evaluate.compute(declared, panel))
    }
    score, grade = found["score"], found["grade"]
    for least, worse, better in ((30, "危险", "紧张"), (50, "紧张", "一般"), (65, "一般", "良好")):
        assert set(grade[(least - 1 <= score) & (score < least)]) == {worse}
        assert set(grade[(least <= score) & (score < least + 1)]) == {better}


def test_the_liquidity_score_weighs_its_four_parts() -> None:
    # A price that stands still has no impact: Amihud's is its own mean, Kyle's slope is 0, and both score 50; the calm
    # scores 100, a volume of its own mean 100 (1 - 1/e).
    panel = bars([100.0] * 120, taker_buy_volume=np.resize([0.2, 0.8], 120))
    found = row("liquidity_score", panel)
    parts = {"amihud_score": 50, "kyle_score": 50, "volatility_score": 100, "volume_score": 100 * (1 - math.exp(-1))}
    assert {name: found[name] for name in parts} == pytest.approx(parts)
    assert found["score"] == pytest.approx(0.35 * 50 + 0.30 * 50 + 0.20 * 100 + 0.15 * 100 * (1 - math.exp(-1)))
    assert (found["amihud"], found["kyle"], found["grade"]) == (0, 0, "一般")


# --- quality


@pytest.mark.parametrize(
    ("minutes", "missing", "start", "end"),
    [
        ([0, 5, 10, 15], 0, None, None),
        # A microsecond more than five minutes: no row is missing, and the gap ends before it begins.
        ([0, 5, 10 + 1 / MINUTE, 15 + 1 / MINUTE], 0, 10, 5 + 1 / MINUTE),
        # Two rows are missing after minute 5, one after minute 20.
        ([0, 5, 20, 30], 3, 10, 15),
    ],
)
def test_a_gap_in_the_metrics_is_a_step_of_more_than_five_minutes(
    minutes: list[float], missing: int, start: float | None, end: float | None
) -> None:
    found = row("futures_gap_monitor", metrics(minutes=minutes))
    wanted = [None if at is None else BEGIN + round(at * MINUTE) for at in (start, end)]
    assert (found["rows_loaded"], found["rows_missing"]) == (4, missing)
    assert [found["first_gap_start"], found["first_gap_end"]] == wanted


# --- futures


@pytest.mark.parametrize(("interval", "period"), [("5m", 300), ("1w", 604_800), ("2h", 600)])
def test_metrics_are_stale_after_three_periods(interval: str, period: int) -> None:
    for age, stale in ((3 * period, 0), (3 * period + 1e-6, 1)):
        found = row("futures_aggregate", metrics(interval, open_interest_value=[100.0], age=age))
        assert (found["is_stale"], found["age_seconds"], found["market_share"]) == (stale, age, 50)


def test_a_taker_ratio_within_a_billionth_of_1_has_no_side() -> None:
    for newest, streak in ((1 + 2e-9, 3), (1 + 5e-10, 2), (1 - 5e-10, 2), (1 - 2e-9, -1)):
        found = row("futures_aggregate", metrics(taker_volume_ratio=[1.5, 1.5, newest]))
        assert found["taker_streak"] == (streak if abs(newest - 1) > 1e-9 else 3)


# --- a price of zero


@pytest.mark.parametrize(
    ("id_", "zeros"),
    [
        ("ema_gc", ["width_score"]),
        ("atr_bands", ["atr_percent"]),
        ("support_resistance", ["support_distance", "resistance_distance", "nearest_distance"]),
        ("vwap", ["vwap", "deviation_percent", "bandwidth_percent"]),
        ("base_data", ["range_fraction", "change_fraction", "turnover", "turnover_per_trade"]),
    ],
)
def test_a_price_of_zero_makes_shares_of_zero(id_: str, zeros: list[str]) -> None:
    found = row(id_, bars([0.0] * 300))
    assert {name: found[name] for name in zeros} == dict.fromkeys(zeros, 0)


def test_a_price_of_zero_has_no_bands_relative_to_it() -> None:
    assert set(row("bollinger", bars([0.0] * 30)).values()) == {None}


def test_numbers_in_lists_are_as_python_writes_them() -> None:
    random = np.random.default_rng()
    usual = 10 ** random.uniform(-3, 9, 20_000)
    for values in (
        usual,
        np.round(usual, 2),
        np.floor(usual) + 1,
        usual * 1e-7,
        usual * 1e9,
        np.array([1e-3, 1.0, 0.1]),
    ):
        assert profile._as_texts(values).tolist() == list(map(repr, values.tolist()))
    assert profile._as_texts(np.empty(0)).tolist() == []
