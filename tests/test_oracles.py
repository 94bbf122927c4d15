"""Oracles: what values have to be, from outside the code. No golden file is read here.

Of every indicator in every profile: values in closed form over prices that stand still, rise and fall (below, and in
``test_formulas``); a twin of a few lines or of TA-Lib (``definitions``, ``corrected``); properties; and a note of what
none of these covers. Values are compared at full precision.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import talib

from candlemill.indicators import evaluate
from candlemill.indicators.defects import DEFECTS, Verdict
from candlemill.indicators.kernels import recursions
from candlemill.indicators.kinds import REAL
from candlemill.indicators.profiles import CORRECTED, PARITY, PROFILES
from candlemill.indicators.registry import INDICATORS
from tests import corrected, definitions, markets, panels
from tests.corrected import floats
from tests.test_definitions import bars_of, computed
from tests.test_formulas import BEGIN, MINUTE, bars, metrics, row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from candlemill.indicators.contract import Indicator, Panel

ROWS = 400
#: One coin trades in each bar, half of it bought by takers.
STILL = bars([100.0] * ROWS)
RISE = bars(np.arange(100.0, 500.0))
FALL = bars(np.arange(499.0, 99.0, -1))
BOTH = [(declared, profile) for declared in INDICATORS.values() for profile in PROFILES]
EVERY = pytest.mark.parametrize(("declared", "profile"), BOTH, ids=[f"{d.id}-{profile}" for d, profile in BOTH])
OF_CANDLES = [(declared, profile) for declared, profile in BOTH if declared.source == "candles"]
EVERY_OF_CANDLES = pytest.mark.parametrize(
    ("declared", "profile"), OF_CANDLES, ids=[f"{d.id}-{profile}" for d, profile in OF_CANDLES]
)


def first_seeded(period: float) -> float:
    """How far an EMA lags behind a price that rises by 1 a bar, where it began with the first of 400 prices.

    A lag of l becomes (1 - a)(l + 1): it goes to (1 - a) / a = (p - 1) / 2, from 0, and (1 - a)^399 of it is left.
    Where the EMA begins with a mean of p prices it lags by just that from there on.
    """
    alpha = 2 / (period + 1)
    return (1 - alpha) / alpha * (1 - (1 - alpha) ** 399)


#: Population's deviation of w numbers in a row: their variance is (w^2 - 1) / 12; a sample's is w (w + 1) / 12.
OF_20, OF_200, OF_300 = (math.sqrt((width**2 - 1) / 12) for width in (20, 200, 300))
SAMPLE_20, SAMPLE_200 = math.sqrt(20 * 21 / 12), math.sqrt(200 * 201 / 12)
#: Lag of an average that began with the mean of 200 prices, which lags by 99.5, and goes to one of 199.
OF_SMMA = 199 - 99.5 * (199 / 200) ** 200
#: Scores of calm and volume where nothing moves: exp(0), and 1 - exp(-1) of a volume that is its own mean.
#: A range that is at its widest shifts a threshold of 70 by a tenth, but for a constant of 1e-10.
WIDEST = 70 * (1 + (1 / (1 + 1e-10) - 0.5) * 0.2)
MEAN_VOLUME = 100 * (1 - math.exp(-1))


def spread(difference: float, price: float) -> float:
    return 100 * (1 - math.exp(-difference / price / 0.03))


Known = dict[str, Any]
#: What some columns are where the price stands at 100, where it rises by 1 a bar up to 499, where it falls so to 100.
KNOWN: dict[str, dict[str, tuple[Known, Known, Known]]] = {
    PARITY: {
        # On a ramp each EMA lags by (p - 1) / 2: DIF is 12.5 - 5.5.
        "macd": (
            {"signal": "延续", "dif": 0, "dea": 0, "histogram": 0},
            {"signal": "延续", "dif": 7, "dea": 7, "histogram": 0, "price": 499},
            {"signal": "延续", "dif": -7, "dea": -7, "histogram": 0, "price": 100},
        ),
        # The true range is 1 a bar, the first one 0: bands at 3 beside the price.
        "supertrend": (
            {"supertrend": 100, "upper": 100, "lower": 100},
            {"supertrend": 496, "direction": "多", "lower": 496},
            {"supertrend": 103, "direction": "空", "upper": 103},
        ),
        "ema_gc": (
            {"ema7": 100, "ema25": 100, "ema99": 100, "trend": "震荡", "width_score": 0},
            {"ema7": 496, "ema25": 487, "ema99": 499 - first_seeded(99), "trend": "多头排列"},
            {"ema7": 103, "ema25": 112, "ema99": 100 + first_seeded(99), "trend": "空头排列"},
        ),
        "ema_ribbon": (
            {"signal": "观望", "direction": "空头", "strength": 0, "ema100": 100},
            {"signal": "买入", "bullish_fraction": 17 / 18, "strength": 170 / 18, "ema100": 499 - first_seeded(100)},
            {"signal": "卖出", "bearish_fraction": 17 / 18, "strength": 170 / 18, "ema100": 100 + first_seeded(100)},
        ),
        "adx": (
            {"adx": 0, "plus_di": 0, "minus_di": 0},
            {"adx": 100, "plus_di": 100, "minus_di": 0},
            {"adx": 100, "plus_di": 0, "minus_di": 100},
        ),
        # The middle of w bars lies (w - 1) / 2 behind the newest.
        "ichimoku": (
            {"span_a": 100, "span_b": 100, "signal": "NEUTRAL", "strength": 0.5},
            {"conversion": 495, "base": 486.5, "span_a": 490.75, "span_b": 473.5, "strength": 8.25 / 17.25},
            {"conversion": 104, "base": 112.5, "span_a": 108.25, "span_b": 125.5, "strength": 8.25 / 17.25},
        ),
        # The price 34 bars ahead lags by 34.5 less 34. It never leaves a band of 1.2.
        "zero_lag_band_cross": (
            {"trend": "空", "bars_in_trend": 400, "trend_band": 100, "strength": None},
            {"trend": "空", "bars_in_trend": 400},
            {"trend": "空", "bars_in_trend": 400},
        ),
        "zero_lag_trend_state": (
            {"state": 0, "average": 100, "band": 0, "strength": None},
            {"state": 0, "direction": "震荡"},
            {"state": 0, "direction": "震荡"},
        ),
        "trend_cloud_reversal": (
            {"signal": "观望", "direction": "震荡", "strength": 0, "smma200": 100, "ema2": 100},
            {"direction": "多头", "strength": 5, "smma200": 499 - OF_SMMA, "ema2": 498.5},
            {"direction": "空头", "strength": 5, "smma200": 100 + OF_SMMA, "ema2": 100.5},
        ),
        # The open of a candle lags by 2 behind its close, each smoothing by 4.5; the slope is 4 / 400 of its scale.
        "smoothed_heikin_ashi": (
            {"strength": 20, "body": 0, "range": 0, "ha_open": 100, "ha_close": 100},
            {"strength": 120.4, "colour": "绿色", "body": 2, "range": 2, "ha_open": 488, "ha_close": 490},
            {"strength": 119.6, "colour": "红色", "body": 2, "range": 2, "ha_open": 111, "ha_close": 109},
        ),
        "trend_line_rank": ({"trend": "震荡", "distance": 0},) * 3,
        "kdj": (
            {"j": None, "k": None, "d": None, "signal": None},
            {"j": 100, "k": 100, "d": 100, "signal": "延续"},
            {"j": 0, "k": 0, "d": 0, "signal": "延续"},
        ),
        "williams_r": ({"williams_r": 0}, {"williams_r": 0}, {"williams_r": -1300 / (13 + 1e-10)}),
        "mfi": ({"mfi": None}, {"mfi": None}, {"mfi": 0}),
        "scalping": (
            {"signal": "观望", "rsi": None, "ema9": 100, "ema21": 100},
            {"signal": "观望", "rsi": None, "ema9": 495, "ema21": 489},
            {"signal": "空头", "rsi": 0, "ema9": 104, "ema21": 110},
        ),
        "harmonic_rsi": ({"harmonic": None}, {"harmonic": None}, {"harmonic": 0}),
        # The newest of 20 lies 9.5 above their mean, from which they are 5 on average.
        "cci": ({"cci": 0}, {"cci": 9.5 / (0.075 + 1e-10)}, {"cci": -9.5 / (0.075 + 1e-10)}),
        "smart_rsi": (
            {"rsi14": None, "rsi_mean": 0, "zone": "中性", "overbought": 63, "oversold": 100 / 3},
            {"rsi7": 100, "rsi14": 100, "rsi21": 100, "zone": "超买区", "strength": 100, "overbought": WIDEST},
            {"rsi7": 0, "rsi14": 0, "rsi21": 0, "zone": "超卖区", "strength": 100, "overbought": WIDEST},
        ),
        "atr_bands": (
            {"regime": "稳定", "atr_percent": 0, "upper": 100, "middle": 100, "lower": 100},
            {"regime": "稳定", "atr_percent": 100 / 499, "upper": 491.5, "middle": 489.5, "lower": 487.5},
            {"regime": "稳定", "atr_percent": 1, "upper": 111.5, "middle": 109.5, "lower": 107.5},
        ),
        "bollinger": (
            {"bandwidth": 0, "middle_slope": 0, "upper": 100, "lower": 100, "percent_b": 0},
            {
                "middle": 489.5,
                "middle_slope": 0.9,
                "upper": 489.5 + 2 * SAMPLE_20,
                "bandwidth": 400 * SAMPLE_20 / 489.5,
            },
            {
                "middle": 109.5,
                "middle_slope": -0.9,
                "lower": 109.5 - 2 * SAMPLE_20,
                "percent_b": 0.5 - 9.5 / 4 / SAMPLE_20,
            },
        ),
        "donchian": (
            {"upper": 100, "middle": 100, "lower": 100},
            {"upper": 499, "middle": 489.5, "lower": 480},
            {"upper": 119, "middle": 109.5, "lower": 100},
        ),
        "keltner": (
            {"upper": 100, "middle": 100, "lower": 100, "atr": 0},
            {"upper": 491.5, "middle": 489.5, "lower": 487.5, "atr": 1},
            {"upper": 111.5, "middle": 109.5, "lower": 107.5, "atr": 1},
        ),
        # The close lies 99.5 beside the mean of 200; the strength is a tenth of its share of three deviations.
        "vwma_fib_bands": (
            {"signal": "观望", "zone": "上通道(1.0)", "basis": 100, "strength": 0},
            {"signal": "观望", "zone": "上通道(1.0)", "basis": 399.5, "strength": 995 / 3 / SAMPLE_200},
            {"signal": "观望", "zone": "下通道(1.0)", "basis": 199.5, "strength": 995 / 3 / SAMPLE_200},
        ),
        "base_data": (
            {"turnover": 100, "taker_buy_fraction": 0.5, "net_flow": 0, "turnover_per_trade": 100},
            {"open": 499, "high": 499, "low": 499, "close": 499, "taker_sell_turnover": 249.5, "change_fraction": 0},
            {"price": 100, "range_fraction": 0, "trades": 1, "taker_sell_volume": 0.5, "taker_buy_turnover": 50},
        ),
        "taker_buy_ratio": ({"taker_buy_volume": 0.5, "taker_sell_volume": 0.5, "taker_buy_fraction": 0.5},) * 3,
        "volume_ratio": ({"volume_ratio": 1, "signal": "正常"},) * 3,
        # Of 399 changes the last 29 are over a sum of 370.
        "obv": ({"obv": 0, "change": 0}, {"obv": 399, "change": 29 / 370}, {"obv": -399, "change": -29 / 370}),
        "cvd": ({"cvd": 0, "change": 0},) * 3,
        "vwap": (
            {"vwap": 100, "bandwidth": 0, "deviation": 0, "volume": 1},
            {"vwap": 349.5, "deviation": 149.5, "upper": 349.5 + OF_300, "deviation_percent": 14950 / 349.5},
            {"vwap": 249.5, "deviation": -149.5, "lower": 249.5 - OF_300, "bandwidth_percent": 200 * OF_300 / 249.5},
        ),
        # One price: 48 bins over a fifth of 1, all of it above the middle. A ramp: 8 or 9 bars to each bin.
        "vpvr_profile": (
            {"point_of_control": 99.9 + 24.5 * 0.2 / 48, "control_volume": 400, "coverage": 100, "low_nodes": ""},
            {"point_of_control": 100 + 399 / 96, "control_volume": 9, "value_area_low": 100, "coverage": 70.75},
            {
                "point_of_control": 100 + 399 / 96,
                "control_volume": 9,
                "value_area_width": 34 * 399 / 48,
                "coverage": 70.75,
            },
        ),
        "liquidity_score": (
            {"amihud_score": 50, "kyle_score": 0, "volatility_score": 100, "volume_score": MEAN_VOLUME},
            {"amihud": math.log(499 / 498) / 499, "volume_score": MEAN_VOLUME, "kyle": 0},
            {"amihud": math.log(101 / 100) / 100, "volume_score": MEAN_VOLUME, "kyle": 0},
        ),
        "support_resistance": (
            {"support": 100, "resistance": 100, "atr": 0, "nearest_distance": 0},
            {"support": 480, "resistance": 499, "atr": 1, "support_distance": 1900 / 499, "resistance_distance": 0},
            {"support": 100, "resistance": 119, "atr": 1, "support_distance": 0, "resistance_distance": 19},
        ),
        # No bar closes against the bias, each rises over the one before the last: a gap.
        "smart_money_structure": (
            {"score": 0.1, "event": "区间震荡", "zone": "极端溢价", "swing_high": 100, "order_block_top": 0},
            {"score": 1.2, "gap": "多头缺口", "zone": "极端溢价", "swing_high": None, "bias": "多头"},
            {"score": -1.2, "gap": "空头缺口", "zone": "极端折价", "swing_low": None, "bias": "空头"},
        ),
        "candle_patterns": (
            {"patterns": "十字星", "count": 1, "strength": 1},
            {"patterns": "十字星,上升三角形", "count": 2, "strength": 2},
            {"patterns": "十字星", "count": 1, "strength": 1},
        ),
        "data_monitor": ({"bars_loaded": 400, "bars_expected": None, "bars_missing": None},) * 3,
    },
}
#: Where the corrected values are others, or others of them are asked.
KNOWN[CORRECTED] = KNOWN[PARITY] | {
    # The lower band follows at 3; the upper one is set anew where a close has passed it, every 5 bars from 118 on.
    "supertrend": (
        {"supertrend": 100, "direction": "空", "upper": 100, "lower": 100},
        {"supertrend": 496, "direction": "多", "upper": 118 + 76 * 5, "lower": 496},
        {"supertrend": 103, "direction": "空", "upper": 103},
    ),
    "ema_gc": (
        {"ema7": 100, "ema25": 100, "ema99": 100, "trend": "震荡", "width_score": 0},
        {"ema7": 496, "ema25": 487, "ema99": 450, "trend": "多头排列", "width_score": spread(46, 499)},
        {"ema7": 103, "ema25": 112, "ema99": 149, "trend": "空头排列", "width_score": spread(46, 100)},
    ),
    "ema_ribbon": (
        {"signal": "观望", "direction": "空头", "strength": 0, "ema100": 100},
        {"signal": "买入", "bullish_fraction": 17 / 18, "strength": 170 / 18, "ema100": 449.5},
        {"signal": "卖出", "bearish_fraction": 17 / 18, "strength": 170 / 18, "ema100": 149.5},
    ),
    # The cloud is that of 26 bars before: the spans lie 26 further behind.
    "ichimoku": (
        {"span_a": 100, "span_b": 100, "signal": "NEUTRAL", "strength": 0.5},
        {"conversion": 495, "base": 486.5, "span_a": 464.75, "span_b": 447.5, "signal": "BUY", "strength": 1},
        {"conversion": 104, "base": 112.5, "span_a": 134.25, "span_b": 151.5, "signal": "SELL", "strength": 1},
    ),
    "zero_lag_band_cross": ({"trend": None, "bars_in_trend": None, "turned_at": None, "trend_band": None},) * 3,
    "zero_lag_trend_state": (
        {"state": 0, "average": 100, "band": 0, "upper": 100, "strength": None},
        {"state": 0, "average": 498.5, "band": 1.2, "upper": 499.7, "lower": 497.3, "strength": 50 / 1.2},
        {"state": 0, "average": 100.5, "band": 1.2, "upper": 101.7, "lower": 99.3, "strength": 50 / 1.2},
    ),
    # Four bars of one average true range each: the slope is 1 or 0.
    "smoothed_heikin_ashi": (
        {"strength": 20, "body": 0, "range": 0, "ha_open": 100, "ha_close": 100},
        {"strength": 140, "colour": "绿色", "body": 2, "range": 2, "ha_open": 488, "ha_close": 490},
        {"strength": 100, "colour": "红色", "body": 2, "range": 2, "ha_open": 111, "ha_close": 109},
    ),
    "kdj": ({"j": 50, "k": 50, "d": 50, "signal": "延续"}, {"j": 100, "k": 100, "d": 100}, {"j": 0, "k": 0, "d": 0}),
    "williams_r": ({"williams_r": -50}, {"williams_r": 0}, {"williams_r": -100}),
    "mfi": ({"mfi": 50}, {"mfi": 100}, {"mfi": 0}),
    "scalping": (
        {"signal": "观望", "rsi": 50, "ema9": 100, "ema21": 100},
        {"signal": "多头", "rsi": 100, "ema9": 495, "ema21": 489},
        {"signal": "空头", "rsi": 0, "ema9": 104, "ema21": 110},
    ),
    "harmonic_rsi": ({"harmonic": 50}, {"harmonic": 100}, {"harmonic": 0}),
    "cci": ({"cci": 0}, {"cci": 9.5 / 0.075}, {"cci": -9.5 / 0.075}),
    "smart_rsi": (
        {"rsi7": 50, "rsi14": 50, "rsi21": 50, "zone": "中性区", "strength": 0, "overbought": 70, "oversold": 30},
        {"rsi7": 100, "rsi14": 100, "zone": "超买区", "strength": 100, "overbought": 70, "divergence": "无背离"},
        {"rsi7": 0, "rsi14": 0, "zone": "超卖区", "strength": 100, "oversold": 30, "divergence": "无背离"},
    ),
    "bollinger": (
        {"bandwidth": 0, "middle_slope": 0, "upper": 100, "lower": 100, "percent_b": 0.5},
        {"middle": 489.5, "middle_slope": 1, "upper": 489.5 + 2 * OF_20, "bandwidth": 400 * OF_20 / 489.5},
        {"middle": 109.5, "middle_slope": -1, "lower": 109.5 - 2 * OF_20, "percent_b": 0.5 - 9.5 / 4 / OF_20},
    ),
    # 99.5 of three deviations are 0.5745: between the fractions 0.5 and 0.618.
    "vwma_fib_bands": (
        {"signal": "观望", "zone": "上通道(0.236)", "basis": 100, "strength": 0},
        {"signal": "观望", "zone": "上通道(0.618)", "basis": 399.5, "strength": 995 / 3 / OF_200},
        {"signal": "观望", "zone": "下通道(0.618)", "basis": 199.5, "strength": 995 / 3 / OF_200},
    ),
    "obv": ({"obv": 0, "change": 0}, {"obv": 399, "change": 1}, {"obv": -399, "change": -1}),
    # Where the flow is always the same there is no slope over it: three parts share its weight.
    "liquidity_score": (
        {"score": (0.35 * 50 + 20 + 0.15 * MEAN_VOLUME) / 0.7, "kyle_score": None, "kyle": None, "grade": "良好"},
        {"amihud": math.log(499 / 498) / 499, "volume_score": MEAN_VOLUME, "kyle": None},
        {"amihud": math.log(101 / 100) / 100, "volume_score": MEAN_VOLUME, "kyle": None},
    ),
    # The 20 bars before the newest.
    "support_resistance": (
        {"support": 100, "resistance": 100, "atr": 0, "nearest_distance": 0},
        {"support": 479, "resistance": 498, "atr": 1, "resistance_distance": -100 / 499, "nearest_distance": 100 / 499},
        {"support": 101, "resistance": 120, "atr": 1, "support_distance": -1, "resistance_distance": 20},
    ),
    "smart_money_structure": (
        {"score": 0.1, "event": "区间震荡", "zone": "均衡区", "swing_high": 100, "order_block_top": None},
        {"score": 1.2, "gap": "多头缺口", "zone": "极端溢价", "swing_high": None, "bias": "多头"},
        {"score": -1.2, "gap": "空头缺口", "zone": "极端折价", "swing_low": None, "bias": "空头"},
    ),
    "candle_patterns": ({"patterns": "十字星", "count": 1, "strength": 1},) * 3,
    "data_monitor": ({"bars_loaded": 400, "bars_expected": 400, "bars_missing": 0},) * 3,
}


@EVERY_OF_CANDLES
def test_prices_that_stand_still_rise_and_fall_have_known_values(declared: Indicator, profile: str) -> None:
    for panel, known in zip((STILL, RISE, FALL), KNOWN[profile][declared.id], strict=True):
        found = row(declared.id, panel, profile)
        assert found.keys() >= known.keys()
        for name, value in known.items():
            wanted = pytest.approx(value, rel=1e-12, abs=1e-9) if isinstance(value, int | float) else value
            assert found[name] == wanted, name


# --- properties

#: Columns with bounds, whatever the prices; of both profiles.
BOUNDS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("ema_gc", "width_score"): (0, 100),
    ("ema_ribbon", "bullish_fraction"): (0, 1),
    ("ema_ribbon", "bearish_fraction"): (0, 1),
    ("adx", "adx"): (0, 100),
    ("adx", "plus_di"): (0, 100),
    ("adx", "minus_di"): (0, 100),
    ("ichimoku", "strength"): (0, 1),
    ("zero_lag_band_cross", "volume_bias"): (-2, 2),
    ("zero_lag_trend_state", "strength"): (0, math.inf),
    ("smoothed_heikin_ashi", "strength"): (0, 200),
    ("kdj", "k"): (0, 100),
    ("kdj", "d"): (0, 100),
    ("williams_r", "williams_r"): (-100, 0),
    ("mfi", "mfi"): (0, 100),
    ("scalping", "rsi"): (0, 100),
    ("harmonic_rsi", "harmonic"): (0, 100),
    ("smart_rsi", "rsi7"): (0, 100),
    ("smart_rsi", "rsi14"): (0, 100),
    ("smart_rsi", "rsi21"): (0, 100),
    ("smart_rsi", "strength"): (0, 100),
    ("smart_rsi", "overbought"): (63, 77),
    ("atr_bands", "atr_percent"): (0, math.inf),
    ("bollinger", "bandwidth"): (0, math.inf),
    ("taker_buy_ratio", "taker_buy_fraction"): (0, 1),
    ("volume_ratio", "volume_ratio"): (0, math.inf),
    ("vwap", "bandwidth"): (0, math.inf),
    ("vpvr_profile", "coverage"): (70 - 1e-9, 100 + 1e-9),
    ("liquidity_score", "score"): (0, 100),
    ("liquidity_score", "amihud_score"): (0, 100),
    ("liquidity_score", "kyle_score"): (0, 100),
    ("support_resistance", "nearest_distance"): (0, math.inf),
    ("support_resistance", "atr"): (0, math.inf),
}
#: Bounds that corrected values have and the old ones have not.
CORRECTED_BOUNDS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("ema_ribbon", "strength"): (0, 10),
    ("trend_cloud_reversal", "strength"): (0, math.inf),
    ("obv", "change"): (-1, 1),
    ("cvd", "change"): (-1, 1),
    ("smart_money_structure", "score"): (-8.5, 8.5),
    ("data_monitor", "bars_missing"): (0, math.inf),
}
#: Columns in rising order.
ORDERS = {
    "atr_bands": ("lower", "middle", "upper"),
    "bollinger": ("lower", "middle", "upper"),
    "donchian": ("lower", "middle", "upper"),
    "keltner": ("lower", "middle", "upper"),
    "vwap": ("lower", "vwap", "upper"),
    "zero_lag_trend_state": ("lower", "average", "upper"),
    "vpvr_profile": ("value_area_low", "point_of_control", "value_area_high"),
    "support_resistance": ("support", "resistance"),
    "smart_money_structure": ("order_block_bottom", "order_block_top"),
}
#: Power of the factor by which a column grows where all prices do; the others of a unit of price grow with it, the rest
#: do not at all. None: it cannot be compared.
POWERS = {
    ("liquidity_score", "amihud"): -1,
    ("vpvr_profile", "high_nodes"): None,
    ("vpvr_profile", "low_nodes"): None,
}
#: What old values do not keep, as absolute constants are in them.
OF_CONSTANTS = {"ichimoku", "williams_r", "cci", "smart_rsi", "vwma_fib_bands", "smoothed_heikin_ashi", "vpvr_profile"}
#: Of what no oracle says anything, in both profiles where none is named.
UNCOVERED = {
    "macd": "that 12, 26 and 9 bars are the ones to take, and that the histogram is doubled",
    "supertrend": "TA-Lib has none: the twin is written from the same description",
    "ema_gc": "the scale of the width score is a convention",
    "ema_ribbon": "periods and shares are a convention",
    "adx": "how TA-Lib treats ranges below 1e-14, which have no movement here",
    "ichimoku": "whether the 26 bars of the displacement include the newest, on which books differ",
    "zero_lag_band_cross": "widths and lengths are a convention",
    "zero_lag_trend_state": "widths and lengths are a convention",
    "trend_cloud_reversal": "that a strike is a reversal, on which books differ",
    "smoothed_heikin_ashi": "the weights of growth and slope are a convention",
    "trend_line_rank": "that three pivots of 20 bars make the lines that matter",
    "kdj": "packages begin K and D differently; after 40 bars the beginning is below 1e-6",
    "williams_r": "that a range of zero is -50, where TA-Lib says 0",
    "mfi": "TA-Lib says 0 where all flow of the window is below 1",
    "scalping": "that ten bars are of late",
    "harmonic_rsi": "that periods of 2 to 33 are the ones to take",
    "cci": "nothing beyond Lambert's constant",
    "smart_rsi": "thresholds and their shift are a convention",
    "atr_bands": "the margins of the regime are a convention",
    "bollinger": "nothing beyond width and period",
    "donchian": "that the newest bar is among the 20",
    "keltner": "Keltner's own form had a mean of ten bars",
    "vwma_fib_bands": "fractions, width and strength are a convention",
    "base_data": "what the source itself has wrong",
    "taker_buy_ratio": "what the source itself has wrong",
    "volume_ratio": "the bounds of its classes are a convention",
    "obv": "where the sum begins is a convention",
    "cvd": "where the sum begins is a convention",
    "vwap": "the length of the window is a convention",
    "vpvr_profile": "how a bar's volume spreads over its range: all of it counts at the typical price",
    "liquidity_score": "weights and scales of the parts are a convention",
    "support_resistance": "that 20 bars make the levels that matter",
    "smart_money_structure": "the weights of the score are a convention",
    "candle_patterns": "the candlesticks are TA-Lib's own; the measures of price patterns are a convention",
    "futures_sentiment": "what the source itself has wrong",
    "futures_aggregate": "that 240 rows are the history to compare with",
    "data_monitor": "bars of months are not counted",
    "futures_gap_monitor": "gaps before the 240 rows",
}
WALKS = [
    panels.walk("WALK", 400, 21),
    panels.walk("TICK", 400, 22, price=2.5, swing=0.003, decimals=2, quiet=0.2),
    panels.walk("WILD", 400, 23, swing=0.08),
    panels.walk("FEW", 330, 24),
    panels.walk("SHORT", 61, 25),
    panels.flat("FLAT", 30),
]
FUTURES = [
    panels.sparse(panels.metrics_walk("A", 240, 1), 1, "open_interest_value", "taker_volume_ratio"),
    panels.metrics_walk("B", 60, 2),
    panels.metrics_walk("C", 5, 3),
]


def panel_of(declared: Indicator, factor: float = 1.0) -> Panel:
    series = [panels.scaled(one, factor) for one in (WALKS if declared.source == "candles" else FUTURES)]
    panel = panels.panel_of(series)
    return replace(panel, totals={"open_interest_value": np.full(panel.series, 1e7 * factor)}, _shared={})


def finished(declared: Indicator, panel: Panel, profile: str) -> dict[str, list[Any]]:
    cells = evaluate.finish(declared, panel, computed(declared, panel, profile), profile=profile)
    return {
        cell.column.name: [None if null else value for value, null in zip(cell.values.tolist(), cell.null, strict=True)]
        for cell in cells
    }


@EVERY
def test_values_keep_their_bounds_and_their_order(declared: Indicator, profile: str) -> None:
    found = finished(declared, panel_of(declared), profile)
    bounds = BOUNDS if profile == PARITY else {**BOUNDS, **CORRECTED_BOUNDS}
    for (id_, name), (low, high) in bounds.items():
        if id_ == declared.id:
            there = [value for value in found[name] if value is not None]
            assert there
            assert all(low - 1e-9 <= value <= high + 1e-9 for value in there), name
    names = ORDERS.get(declared.id, ())
    for lower, upper in pairwise(names):
        for low, high in zip(found[lower], found[upper], strict=True):
            assert low is None or low <= high * (1 + 1e-12), (lower, upper)


@EVERY
def test_values_mean_the_same_in_other_money(declared: Indicator, profile: str) -> None:
    if profile == PARITY and declared.id in OF_CONSTANTS:
        pytest.skip("absolute constants are in its values")
    factor = 2.0**-30
    found, scaled = (finished(declared, panel_of(declared, by), profile) for by in (1.0, factor))
    of_money = {"turnover", "open_interest_value", "value_change", "taker_buy_turnover", "taker_sell_turnover"}
    of_money |= {"net_flow", "turnover_per_trade"}
    for column in declared.columns:
        money = column.unit == "price" or column.name in of_money
        power = POWERS.get((declared.id, column.name), 1 if money else 0)
        if profile == PARITY and column.name == "stability_quantile":
            # It compares amounts of money with a ratio.
            power = None
        for value, other in zip(found[column.name], scaled[column.name], strict=True):
            if power is None:
                continue
            if column.kind is REAL and value is not None:
                # Sums of logarithms are not exact; all else is, as the factor is a power of two.
                assert other == pytest.approx(value * factor**power, rel=1e-9, abs=1e-9 * factor**power), column.name
            else:
                assert value == other, column.name


@EVERY
def test_a_series_alone_has_the_values_that_it_has_among_others(declared: Indicator, profile: str) -> None:
    panel = panel_of(declared)
    found = finished(declared, panel, profile)
    for column in range(panel.series):
        alone = finished(declared, replace(panel.select([column]), _shared={}), profile)
        assert {name: values[0] for name, values in alone.items()} == {n: values[column] for n, values in found.items()}


@EVERY
def test_every_indicator_has_oracles(declared: Indicator, profile: str) -> None:
    twins = definitions if profile == PARITY or not declared.variants else corrected
    of_talib_alone = {"candle_patterns"}
    if declared.source == "candles":
        assert len(KNOWN[profile][declared.id]) == 3
        assert declared.id in {*twins.DEFINITIONS, *of_talib_alone}
    else:
        assert declared.id in KNOWN_OF_METRICS[profile]
        assert declared.id in twins.OF_METRICS
    assert len(UNCOVERED[declared.id]) > 10


# --- TA-Lib


def test_what_begins_with_a_mean_agrees_with_talib() -> None:
    for series in WALKS[:5]:
        close = np.ascontiguousarray(series.fields["close"])
        first = np.zeros(1, dtype=np.int64)
        for period in (2, 7, 14, 33):
            found = recursions.ema_from_mean(close[:, None], period, recursions.span(float(period)), first)[:, 0]
            wanted = talib.EMA(close, period)
            assert np.isnan(found).tolist() == np.isnan(wanted).tolist()
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


#: Columns that are an output of a function of TA-Lib, as they are.
OUTPUTS: dict[tuple[str, str], Callable[[definitions.Bars], Any]] = {
    ("macd", "dif"): lambda b: talib.MACD(floats(b.close), 12, 26, 9)[0],
    ("macd", "dea"): lambda b: talib.MACD(floats(b.close), 12, 26, 9)[1],
    ("ema_gc", "ema7"): lambda b: talib.EMA(floats(b.close), 7),
    ("ema_gc", "ema25"): lambda b: talib.EMA(floats(b.close), 25),
    ("ema_gc", "ema99"): lambda b: talib.EMA(floats(b.close), 99),
    ("ema_ribbon", "ema100"): lambda b: talib.EMA(floats(b.close), 100),
    ("adx", "adx"): lambda b: talib.ADX(floats(b.high), floats(b.low), floats(b.close), 14),
    ("adx", "plus_di"): lambda b: talib.PLUS_DI(floats(b.high), floats(b.low), floats(b.close), 14),
    ("adx", "minus_di"): lambda b: talib.MINUS_DI(floats(b.high), floats(b.low), floats(b.close), 14),
    ("trend_cloud_reversal", "ema2"): lambda b: talib.EMA(floats(b.close), 2),
    ("williams_r", "williams_r"): lambda b: talib.WILLR(floats(b.high), floats(b.low), floats(b.close), 14),
    ("mfi", "mfi"): lambda b: talib.MFI(*(floats(v) for v in (b.high, b.low, b.close, b.volume)), 14),
    ("scalping", "rsi"): lambda b: talib.RSI(floats(b.close), 14),
    ("scalping", "ema9"): lambda b: talib.EMA(floats(b.close), 9),
    ("scalping", "ema21"): lambda b: talib.EMA(floats(b.close), 21),
    ("harmonic_rsi", "harmonic"): lambda b: [np.mean([talib.RSI(floats(b.typical), k)[-1] for k in range(2, 34)])],
    ("cci", "cci"): lambda b: talib.CCI(floats(b.high), floats(b.low), floats(b.close), 20),
    ("smart_rsi", "rsi7"): lambda b: talib.RSI(floats(b.close), 7),
    ("smart_rsi", "rsi14"): lambda b: talib.RSI(floats(b.close), 14),
    ("smart_rsi", "rsi21"): lambda b: talib.RSI(floats(b.close), 21),
    ("atr_bands", "middle"): lambda b: talib.SMA(floats(b.close), 20),
    ("atr_bands", "atr_percent"): lambda b: 100 * talib.NATR(*map(floats, (b.high, b.low, b.close)), 14) / 100,
    ("bollinger", "upper"): lambda b: talib.BBANDS(floats(b.close), 20, 2, 2)[0],
    ("bollinger", "middle"): lambda b: talib.BBANDS(floats(b.close), 20, 2, 2)[1],
    ("bollinger", "lower"): lambda b: talib.BBANDS(floats(b.close), 20, 2, 2)[2],
    ("donchian", "upper"): lambda b: talib.MAX(floats(b.high), 20),
    ("donchian", "lower"): lambda b: talib.MIN(floats(b.low), 20),
    ("keltner", "middle"): lambda b: talib.EMA(floats(b.close), 20),
    ("keltner", "atr"): lambda b: talib.ATR(floats(b.high), floats(b.low), floats(b.close), 10),
    ("obv", "obv"): lambda b: talib.OBV(floats(b.close), floats(b.volume)) - b.volume[0],
    ("support_resistance", "support"): lambda b: talib.MIN(floats(b.low), 20)[:-1],
    ("support_resistance", "resistance"): lambda b: talib.MAX(floats(b.high), 20)[:-1],
    ("support_resistance", "atr"): lambda b: talib.ATR(floats(b.high), floats(b.low), floats(b.close), 14),
}


@pytest.mark.parametrize(("id_", "name"), OUTPUTS, ids=[f"{id_}-{name}" for id_, name in OUTPUTS])
def test_corrected_values_agree_with_talib(id_: str, name: str) -> None:
    declared = INDICATORS[id_]
    panel = panels.panel_of(WALKS[:5])
    found = finished(declared, panel, CORRECTED)[name]
    enough = evaluate.enough_bars(declared, panel, profile=CORRECTED)
    assert enough.sum() >= 4
    for column in np.flatnonzero(enough).tolist():
        assert found[column] == pytest.approx(float(OUTPUTS[id_, name](bars_of(panel, column))[-1]), rel=1e-9)


# --- known values of a kind


def test_k_and_d_begin_with_50() -> None:
    # Five positions of 100 after it: what is left of 50 is (2/3)^5 of it, and of D that times 1 + 5/3.
    found = row("kdj", bars(np.arange(1.0, 14.0)), CORRECTED)
    left = 50 * (2 / 3) ** 5
    assert (found["k"], found["d"]) == (pytest.approx(100 - left), pytest.approx(100 - left * 8 / 3))
    # Where a range of zero follows K goes back to 50.
    found = row("kdj", bars([*np.arange(1.0, 14.0), *[13.0] * 40]), CORRECTED)
    assert found["k"] == pytest.approx(50, abs=1e-3)
    assert found["d"] == pytest.approx(50, abs=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_macd_says_where_dif_crosses_zero(sign: int) -> None:
    # After a long fall the price jumps so far that DIF passes zero and DEA at once; a bar later nothing crosses.
    fall = 200 - np.arange(100.0)
    up, down = ("金叉/零轴上穿", "死叉/零轴下破") if sign > 0 else ("死叉/零轴下破", "金叉/零轴上穿")
    closes = 300 + sign * (np.array([*fall, 400.0]) - 300)
    assert row("macd", bars(closes), CORRECTED)["signal"] == up
    assert row("macd", bars([*closes, closes[-1]]), CORRECTED)["signal"] == "延续"
    # A turn that is slower than the lines: first they cross, and DIF passes zero some bars later, alone.
    slower = 300 + sign * (np.array([*fall, *(fall[-1] + 3 * np.arange(1.0, 30.0))]) - 300)
    words = [row("macd", bars(slower[:length]), CORRECTED)["signal"] for length in range(100, len(slower) + 1)]
    crossed = [word for word in words if word != "延续"]
    assert crossed == (["金叉", "零轴上穿"] if sign > 0 else ["死叉", "零轴下破"])
    assert down not in words


def test_a_zero_lag_cross_is_one_of_its_own_band() -> None:
    # A step of 1 runs ahead of its average by 2, which moves by 2/71 of that, and makes an ATR of 1/70.
    band = 1.2 / 70
    for sign in (1, -1):
        panel = bars([100.0] * 299 + [100.0 + sign])
        found = row("zero_lag_band_cross", panel, CORRECTED)
        line = 100 + sign * (4 / 71 - band)
        assert (found["trend"], found["bars_in_trend"]) == ("多" if sign > 0 else "空", 1)
        assert found["turned_at"] == panel.time[-1, 0]
        assert found["trend_band"] == pytest.approx(line)
        assert found["strength"] == pytest.approx((100 + sign - line) / band)
        later = row("zero_lag_band_cross", bars([100.0] * 299 + [100.0 + sign] * 3), CORRECTED)
        assert (later["trend"], later["bars_in_trend"]) == ("多" if sign > 0 else "空", 3)
        state = row("zero_lag_trend_state", panel, CORRECTED)
        assert (state["state"], state["signal"]) == (sign, "买入" if sign > 0 else "卖出")
        assert state["band"] == pytest.approx(band)


def line_through(pivots: list[tuple[int, float]], last: float, rows: int = 120) -> Panel:
    """Bars at 100 with single highs beyond, which are pivots, and a newest close."""
    high = np.full(rows, 100.0)
    for place, value in pivots:
        high[place] = value
    close = np.full(rows, 99.0)
    close[-1] = last
    return bars(close, open=close, high=high, low=np.linspace(90, 89, rows))


def test_a_trend_line_is_held_against_the_closes_at_their_bars() -> None:
    # Highs of 110 and 105, 40 bars apart: an eighth a bar. The line stands at 105 - 39 / 8 at the newest.
    panel = line_through([(40, 110.0), (80, 105.0)], 99.0)
    level = 105 - 39 / 8
    found = row("trend_line_rank", panel, CORRECTED)
    assert (found["trend"], found["distance"]) == ("空", pytest.approx((99 - level) / level * 100))
    # A close beyond it between the pivots ends it, wherever that lies; one on it does not.
    for place, close, valid in ((60, 107.6, False), (60, 107.5, True), (119, level + 0.001, False), (41, 109.9, False)):
        closes = panel.close[:, 0].copy()
        closes[place] = close
        fields = {name: values[:, 0] for name, values in panel.fields.items()}
        trend = row("trend_line_rank", bars(closes, high=fields["high"], low=fields["low"]), CORRECTED)["trend"]
        assert (trend == "空") == valid, (place, close)


def test_an_old_trend_line_is_held_against_the_closes_mirrored_in_time() -> None:
    # The older pivot lies 79 bars before the newest, which is held against the oldest close, at 110 - 79 / 8.
    panel = line_through([(40, 110.0), (80, 105.0)], 99.0)
    fields = {name: values[:, 0].copy() for name, values in panel.fields.items()}
    for place, close, trend in ((0, 100.0, "空"), (0, 100.2, "震荡"), (78, 109.9, "震荡"), (79, 109.9, "空")):
        closes = fields["close"].copy()
        closes[place] = close
        found = row("trend_line_rank", bars(closes, high=fields["high"], low=fields["low"]))
        assert found["trend"] in (trend, {"震荡": "多"}.get(trend)), place


def test_volume_counts_where_it_is_traded() -> None:
    # Two prices, 1 and 4, with three times the volume at 4: the mean is 13/4, the variance 3/16 of 9.
    closes, volume = np.resize([1.0, 4.0], 300), np.resize([1.0, 3.0], 300)
    found = row("vwap", bars(closes, volume=volume), CORRECTED)
    assert (found["vwap"], found["upper"]) == (pytest.approx(3.25), pytest.approx(3.25 + 3 * math.sqrt(3) / 4))
    assert (found["volume"], found["turnover"]) == (3, 4)
    nothing = row("vwap", bars(closes, volume=0.0, quote_volume=np.nan), CORRECTED)
    assert {nothing[name] for name in ("vwap", "upper", "bandwidth", "turnover")} == {None}
    assert nothing["volume"] == 0
    # Of the newest 30 bars 20 rise with 1 coin each and 10 fall with 2.
    steps = np.array([1.0] * 400 + [1.0, 1.0, -1.0] * 10)
    volume = np.array([5.0, *np.where(steps < 0, 2.0, 1.0)])
    found = row("obv", bars(1000 + np.cumsum([0.0, *steps]), volume=volume), CORRECTED)
    assert (found["obv"], found["change"]) == (400, 0)
    # All taken by buyers, save where nobody knows.
    taken = np.where(np.arange(400) % 4 == 0, np.nan, 2.0)
    found = row("cvd", bars([100.0] * 400, volume=2.0, taker_buy_volume=taken), CORRECTED)
    assert (found["cvd"], found["change"]) == (600, 1)
    found = row("volume_ratio", bars([1.0] * 40, volume=[9.0] * 19 + [1.0] * 20 + [3.0]), CORRECTED)
    assert (found["volume_ratio"], found["signal"]) == (3, "异常放量")


@pytest.mark.parametrize("profile", PROFILES)
def test_nodes_of_neighbours_are_their_own(profile: str) -> None:
    # Three series of the same prices, of which the first and the last have the same volumes.
    closes, odd = np.repeat(np.linspace(100.0, 148.0, 49), 3), np.repeat(np.arange(49) % 2, 3)
    one, other = np.where(odd, 9.0, 1.0), np.where(odd, 1.0, 9.0)
    panel = markets.panel({
        **dict.fromkeys(("high", "low", "close"), np.repeat(closes[:, None], 3, axis=1)),
        "volume": np.stack([one, other, one], axis=1),
    })  # fmt: skip
    found = finished(INDICATORS["vpvr_profile"], panel, profile)
    for name in ("high_nodes", "low_nodes"):
        assert found[name][0] == found[name][2] != found[name][1]


def test_the_old_change_of_obv_is_relative_to_the_sum_29_bars_before() -> None:
    # Of 31 rising bars the second has a sum of 1, the newest one of 30.
    assert row("obv", bars(np.arange(1.0, 32.0))) == {"obv": 30, "change": 29}
    # The first has 0, which counts as a billionth.
    assert row("obv", bars(np.arange(1.0, 31.0)))["change"] == pytest.approx(29e9)


def test_what_the_source_does_not_know_is_null() -> None:
    panel = bars([100.0] * 300, quote_volume=np.nan, trade_count=np.nan, taker_buy_volume=np.nan)
    found = row("base_data", panel, CORRECTED)
    unknown = {"turnover", "trades", "taker_buy_volume", "taker_sell_volume", "taker_buy_fraction", "net_flow"}
    unknown |= {"turnover_per_trade", "taker_sell_turnover", "trade_count", "taker_buy"}
    assert {name for name, value in found.items() if value is None} == unknown
    assert found["taker_buy_turnover"] == 50
    assert row("taker_buy_ratio", panel, CORRECTED)["taker_buy_fraction"] is None
    assert set(row("cvd", panel, CORRECTED).values()) == {None}
    for id_ in ("macd", "kdj", "atr_bands", "bollinger", "vwap", "volume_ratio", "liquidity_score", "candle_patterns"):
        assert row(id_, panel, CORRECTED)["turnover"] is None


def test_the_zone_of_a_close_is_the_narrowest_band_that_holds_it() -> None:
    # Half of the bars lie 2 above and half 2 below 100: a population's deviation of 2, and bands of fractions of 6.
    base = [98.0, 102.0] * 98
    for fraction, zone in ((0.2, "0.236"), (0.3, "0.382"), (0.45, "0.5"), (0.6, "0.618"), (0.7, "0.764"), (0.9, "1.0")):
        for sign, side in ((1, "上通道"), (-1, "下通道")):
            close = 100 + sign * 6 * fraction
            values = [*base, 98.0, 102.0, 98.0, 102.0, close]
            # The typical price of the newest bar is 100 and its volume 0: neither mean nor deviation see it much.
            other = [*values[:-1], (300 - close) / 2]
            panel = bars(values, high=other, low=other, volume=[1.0] * 200 + [0.0])
            assert row("vwma_fib_bands", panel, CORRECTED)["zone"] == f"{side}({zone})"
    for sign, zone in ((1, "上通道外"), (-1, "下通道外")):
        values = [*base, 98.0, 102.0, 98.0, 102.0, 100 + sign * 6.1]
        other = [*values[:-1], (300 - values[-1]) / 2]
        assert row("vwma_fib_bands", bars(values, high=other, low=other), CORRECTED)["zone"] == zone
    found = row("vwma_fib_bands", bars([100.0] * 250, volume=0.0), CORRECTED)
    assert found == {"signal": "观望", "direction": None, "strength": None, "zone": None, "basis": None}


def test_a_cloud_is_displaced_and_null_until_it_has_its_bars() -> None:
    for length, a, b in ((51, None, None), (52, 52 - 8.25 - 26, None), (77, 77 - 34.25, None), (78, 43.75, 26.5)):
        found = row("ichimoku", bars(np.arange(1.0, length + 1)), CORRECTED)
        assert (found["span_a"], found["span_b"]) == (a, b)
        assert (found["signal"], found["strength"]) == (("BUY", 1) if b else ("NEUTRAL", None))


def swung(closes: list[float], **fields: Any) -> Panel:
    """A high of 120 and a low of 80 as swings, bars at 100 around them, then some closes."""
    calm = [100.0] * 100
    high, low = calm.copy(), calm.copy()
    high[60], low[70] = 120.0, 80.0
    return bars([*calm, *closes], high=[*high, *closes], low=[*low, *closes], open=[*calm, *closes], **fields)


def test_one_event_of_market_structure_counts() -> None:
    # Above the swing with the bias 3.5; the last bar leaves a gap of 1.2, in the uppermost zone no more.
    found = row("smart_money_structure", swung([121.0]), CORRECTED)
    assert (found["event"], found["bias"], found["gap"], found["zone"]) == ("多头突破", "多头", "多头缺口", "极端溢价")
    # 41 above the swing low are many true ranges: a whole 0.2.
    assert found["score"] == pytest.approx(3.5 + 0.2 + 1.2)
    found = row("smart_money_structure", swung([79.0]), CORRECTED)
    assert (found["event"], found["zone"], found["signal"]) == ("空头突破", "极端折价", "观望")
    assert found["score"] == pytest.approx(-3.5 + 0.2 - 1.2)
    # Against the bias 4.5: the price has come from 200, and passes a swing at 105 below its average; a gap, no zone.
    close = [200.0] * 100 + [180.0, 160.0, 140.0, 120.0] + [100.0] * 13 + [106.0]
    high = close.copy()
    high[111] = 105.0
    found = row("smart_money_structure", bars(close, high=high), CORRECTED)
    assert (found["event"], found["bias"], found["swing_high"]) == ("结构反转向上", "空头", 105)
    assert (found["zone"], found["signal"]) == ("折价区", "买入")
    assert 5.7 < found["score"] < 5.8


def test_an_order_block_holds_until_it_is_broken() -> None:
    close = [100.0] * 90 + [110.0, 109.0, 112.0, 113.0, 114.0]
    opened = [100.0] * 90 + [100.0, 110.0, 109.0, 112.0, 113.0]
    panel = bars(close, open=opened, high=np.maximum(close, opened), low=np.minimum(close, opened) - 0.5)
    found = row("smart_money_structure", panel, CORRECTED)
    assert (found["order_block"], found["order_block_top"], found["order_block_bottom"]) == ("多头订单块", 110, 108.5)
    # A close below its lower edge, in a bar that opened lower still and so is none itself.
    close[93], opened[93] = 108.4, 108.0
    panel = bars(close, open=opened, high=np.maximum(close, opened), low=np.minimum(close, opened) - 0.5)
    found = row("smart_money_structure", panel, CORRECTED)
    assert (found["order_block"], found["order_block_top"]) == ("无", None)


@pytest.mark.parametrize(
    ("share", "zone"),
    [(1, "极端溢价"), (0.53, "溢价区"), (0.524, "均衡区"), (0.476, "均衡区"), (0.47, "折价区"), (0, "极端折价")],
)
def test_zones_of_the_range(share: float, zone: str) -> None:
    high, low = np.full(120, 100.5), np.full(120, 99.5)
    high[60], low[70] = 140.0, 60.0
    assert (
        row("smart_money_structure", bars([100.0] * 119 + [60 + 80 * share], high=high, low=low), CORRECTED)["zone"]
        == zone
    )


def shaped(*points: tuple[int, float], sign: int = 1) -> Panel:
    """Bars with a range of 1 around a path of straight lines through points, from 100 on."""
    at, levels = zip((0, 100.0), *points, strict=True)
    close = 200 + sign * (np.interp(np.arange(points[-1][0] + 1), at, levels) - 200)
    return bars(close, open=close - 0.1, high=close + 0.5, low=close - 0.5)


@pytest.mark.parametrize(
    ("points", "up", "down", "weight"),
    [
        # Two tops of 120 with a valley of 110 that the last close breaks.
        ([(60, 100), (70, 120), (80, 110), (90, 120), (101, 109)], "双顶", "双底", -1.2),
        # A head of 126 over shoulders of 120, valleys at 112 and 111 whose line the close breaks.
        ([(50, 100), (60, 120), (68, 112), (76, 126), (84, 111), (92, 120), (102, 108)], "头肩顶", "头肩底", -1.5),
        # Two tops of 120, lows that rise from 110 to 115, and a close between.
        ([(60, 100), (70, 120), (80, 110), (88, 120), (94, 115), (98, 118.5)], "上升三角形", "下降三角形", 1.0),
    ],
)
def test_price_patterns_are_real_ones(points: list[tuple[int, float]], up: str, down: str, weight: float) -> None:
    for sign, name in ((1, up), (-1, down)):
        panel = shaped(*points, sign=sign)
        found = row("candle_patterns", panel, CORRECTED)
        names = found["patterns"].split(",")
        assert names[-1] == name
        candles = talib_candles(panel)
        assert found["strength"] == pytest.approx(sum(candles) / 100 + sign * weight)
        assert found["count"] == sum(value != 0 for value in candles) + 1 == len(names)
        # Ten bars later the break is no news, and the newest pivot has its successors.
        last = points[-1]
        later = row("candle_patterns", shaped(*points, (last[0] + 30, last[1]), sign=sign), CORRECTED)
        assert name not in later["patterns"].split(",")


def test_a_break_is_of_late_where_the_bar_before_was_above() -> None:
    # The valley lies at 109.5 (its low). The close fell below it long ago, came back for one bar, and is below again.
    top = [(60, 100), (70, 120), (80, 110), (90, 120), (95, 105), (103, 104)]
    for back, news in (((104, 110.0), (105, 109.0)), True), (((104, 108.0), (105, 107.0)), False):
        names = row("candle_patterns", shaped(*top, *back), CORRECTED)["patterns"].split(",")
        assert ("双顶" in names) == news


def test_a_break_is_of_late_for_five_bars() -> None:
    # Bar 95 is the last that closes at or above the valley's 109.5.
    top = [(60, 100), (70, 120), (80, 110), (90, 120), (95, 110), (96, 109)]
    for last, news in ((100, True), (101, False)):
        names = row("candle_patterns", shaped(*top, (last, 108.5)), CORRECTED)["patterns"].split(",")
        assert ("双顶" in names) == news


def test_candlesticks_of_the_fewest_bars() -> None:
    # The longest function looks back over 14 bars, and two confirm over 3 more.
    for seed in range(20):
        fields = panels.walk("FEW", 18, seed).fields
        panel = bars(**{name: fields[name] for name in ("open", "high", "low", "close")})
        assert row("candle_patterns", panel, CORRECTED)["strength"] == pytest.approx(sum(talib_candles(panel)) / 100)
        few = bars(**{name: fields[name][1:] for name in ("open", "high", "low", "close")})
        assert row("candle_patterns", few, CORRECTED)["count"] is None


def talib_candles(panel: Panel) -> list[float]:
    """The newest values of all candlestick functions."""
    prices = [panel.fields[name][:, 0].copy() for name in ("open", "high", "low", "close")]
    return [float(getattr(talib, name)(*prices)[-1]) for name in talib.get_function_groups()["Pattern Recognition"]]


def test_two_candlesticks_have_two_names() -> None:
    # A long body, then a doji beyond it: a doji, and a doji star.
    opened, close = [*np.arange(100.0, 130.0), 131.0, 134.0], [*np.arange(100.5, 130.5), 133.0, 134.0]
    panel = bars(
        close, open=opened, high=[*np.array(close[:-1]) + 0.2, 134.5], low=[*np.array(opened[:-1]) - 0.2, 133.5]
    )
    assert row("candle_patterns", panel)["patterns"].split(",").count("十字星") == 2
    names = row("candle_patterns", panel, CORRECTED)["patterns"].split(",")
    assert (names.count("十字星"), names.count("星形十字")) == (1, 1)


def test_a_flat_start_is_no_reversal_and_a_strike_passes_the_first_open() -> None:
    def of(newest: list[tuple[float, float]]) -> dict[str, Any]:
        opened, closed = ([80.0] * 110 + [100.0] * 110 + [bar[k] for bar in newest] for k in (0, 1))
        return row("trend_cloud_reversal", bars(closed, open=opened), CORRECTED)

    falling = [(100, 99), (99, 98), (98, 97)]
    assert of([*falling, (97, 100.5)])["pattern"] == "三线打击"
    # The open of the first is reached and not passed, or the body does not begin below the last close.
    assert of([*falling, (97, 100)])["pattern"] == "吞没形态"
    assert of([*falling, (97.5, 100.5)])["pattern"] == "无"
    # The bar before has the same colour, or both bodies are one.
    assert of([(97, 98), (97, 99)])["pattern"] == "无"
    assert of([(98, 97), (97, 98)])["pattern"] == "无"
    # A body of 12 among 15 whose mean is 1.
    assert of([*falling, (97, 109)])["strength"] == 1200
    # With the trend it buys, and its strength is the body against the mean of 15: 3.5 of 6.5 / 15.
    found = of([*falling, (97, 100.5)])
    assert (found["signal"], found["direction"], found["strength"]) == (
        "买入",
        "多头",
        pytest.approx(3.5 / (6.5 / 15) * 100),
    )


# --- futures and quality

#: Indicators of metrics, and the tests of their known values.
KNOWN_OF_METRICS = {
    PARITY: {"futures_sentiment": "here", "futures_aggregate": "test_formulas", "futures_gap_monitor": "test_formulas"},
    CORRECTED: {"futures_sentiment": "here", "futures_aggregate": "here", "futures_gap_monitor": "here"},
}


@pytest.mark.parametrize("profile", PROFILES)
def test_sentiment_is_the_newest_row(profile: str) -> None:
    found = row("futures_sentiment", metrics(open_interest=[1.0, 7.0], global_account_ratio=[1.0, 0.0]), profile)
    assert (found["open_interest"], found["global_ratio"], found["top_trader_ratio"]) == (7, 0, 1)


def test_a_zero_is_a_value() -> None:
    values = [100.0, 110.0, 110.0]
    found = row("futures_aggregate", metrics(open_interest_value=values, taker_volume_ratio=[1.0, 1.0, 1.0]), CORRECTED)
    assert (found["value_change"], found["value_change_fraction"], found["sentiment_gap_size"]) == (0, 0, 0)
    # Changes of a tenth and of 0: a z-score of -1; the other two stand still and have 0.
    assert found["risk_score"] == pytest.approx(1 / 3)
    assert (found["value_streak"], found["sentiment_turn"], found["stability_quantile"]) == (2, 0, None)
    assert found["market_share"] == 55
    # 100, 110 and 110 lie on a line of 5 a row at best: in percent of the last.
    assert found["value_slope"] == pytest.approx(500 / 110)


def test_nothing_bridges_a_gap() -> None:
    # The third row comes after two that lack.
    minutes = [0, 5, 20, 25]
    found = row("futures_aggregate", metrics(minutes=minutes, open_interest_value=[1.0, 2.0, 8.0, 9.0]), CORRECTED)
    assert (found["value_change"], found["value_streak"]) == (1, 1)
    # By time: 0, 1, 4 and 5 periods lie -2.5, -1.5, 1.5 and 2.5 from their mean: 29 over squares of 17.
    slope = 29 / 17
    assert found["value_slope"] == pytest.approx(slope / 9 * 100)
    # What stands still has no slope, not even one of rounding errors.
    still = metrics(minutes=[0, 5, 20, 35, 80], open_interest_value=[123.456] * 5)
    assert row("futures_aggregate", still, CORRECTED)["value_slope"] == 0
    found = row("futures_aggregate", metrics(minutes=[0, 5, 20], open_interest_value=[1.0, 2.0, 8.0]), CORRECTED)
    assert (found["value_change"], found["value_streak"], found["top_trader_momentum"]) == (None, None, None)


@pytest.mark.parametrize(
    ("ratios", "turn"), [([0.9, 1.0, 1.1], 1), ([1.1, 1.0, 0.9], -1), ([1.1, 1.0, 1.1], 0), ([0.9, 1.0], 0), ([1.1], 0)]
)
def test_a_turn_is_one_from_the_last_side_of_1(ratios: list[float], turn: int) -> None:
    assert row("futures_aggregate", metrics(top_trader_position_ratio=ratios), CORRECTED)["sentiment_turn"] == turn


def test_the_stability_is_a_rank_among_variations() -> None:
    # 40 rows alternate around 100, ever more: each window of 20 varies more than the one before.
    values = 100 + np.arange(40) * np.resize([1.0, -1.0], 40)
    assert row("futures_aggregate", metrics(open_interest_value=values), CORRECTED)["stability_quantile"] == 1
    assert (
        row("futures_aggregate", metrics(open_interest_value=values[::-1]), CORRECTED)["stability_quantile"] == 1 / 21
    )


@pytest.mark.parametrize(
    ("minutes", "age", "missing", "first"),
    [
        ([0, 5, 10], 299, 0, None),
        # 20 minutes after the last row those of 5, 10 and 15 are due, the one of 20 not yet.
        ([0, 5, 10], 1200, 3, (15, 25)),
        ([0, 5, 20, 25], 0, 2, (10, 15)),
        # A row that comes late is no gap.
        ([0, 6, 10], 0, 0, None),
        ([0, 15, 20], 600, 3, (5, 10)),
        ([0], 0, 0, None),
    ],
)
def test_gaps_are_those_of_the_grid_up_to_now(
    minutes: list[float], age: float, missing: int, first: tuple[int, int] | None
) -> None:
    found = row("futures_gap_monitor", metrics(minutes=minutes, age=age), CORRECTED)
    begin = BEGIN // (5 * MINUTE) * 5 * MINUTE
    assert (found["rows_loaded"], found["rows_missing"]) == (len(minutes), missing)
    ends = tuple(begin + minute * MINUTE for minute in first) if first else (None, None)
    assert (found["first_gap_start"], found["first_gap_end"]) == ends


def test_bars_are_counted_on_the_grid() -> None:
    panel = panels.panel_of([panels.Series(w.symbol, w.time[place], {n: v[place] for n, v in w.fields.items()})
                             for w, place in ((WALKS[0], np.r_[0:10, 13:20]), (WALKS[1], np.r_[0:5]))])  # fmt: skip
    found = finished(INDICATORS["data_monitor"], panel, CORRECTED)
    assert (found["bars_expected"], found["bars_missing"]) == ([20, 5], [3, 0])
    # Of the old values a week of minutes is expected, and of no other interval anything.
    minutes = replace(panel, intervals=["1m", "1h"])
    found = finished(INDICATORS["data_monitor"], minutes, PARITY)
    assert (found["bars_expected"], found["bars_missing"]) == ([10080, None], [10080 - 17, None])
    # At an interval three times as long a third is expected: 19 steps of 5 minutes are 6.33 of 15.
    longer = replace(panel, intervals=["15m", "15m"])
    assert finished(INDICATORS["data_monitor"], longer, CORRECTED)["bars_expected"] == [7, 2]
    months = replace(panel, intervals=["1M", "1M"])
    assert finished(INDICATORS["data_monitor"], months, CORRECTED)["bars_missing"] == [None, None]


# --- defects


def test_each_defect_has_a_verdict_and_each_variant_mends_one() -> None:
    numbers = [*map(str, range(1, 35)), *(f"D{number}" for number in range(1, 24))]
    assert [defect.number for defect in DEFECTS] == numbers
    for defect in DEFECTS:
        assert min(len(defect.what), len(defect.how)) > 10
        assert set(defect.indicators) <= set(INDICATORS)
        if defect.verdict is Verdict.MENDED:
            assert defect.indicators
            assert all(CORRECTED in INDICATORS[id_].variants for id_ in defect.indicators)
    mended = {id_ for defect in DEFECTS if defect.verdict is Verdict.MENDED for id_ in defect.indicators}
    assert mended == {declared.id for declared in INDICATORS.values() if CORRECTED in declared.variants}
