"""Volatility: how far prices swing, and the bands drawn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import (
    Coded,
    Panel,
    Parameters,
    Values,
    difference,
    indicator,
    number,
    price,
    text,
)
from .kernels import chains, rolling
from .kernels.bars import (
    average_true_range,
    close_ema,
    close_ema_from_mean,
    close_mean,
    low_and_high,
    true_range_from_mean,
    turnover,
    typical_price,
)
from .profiles import CORRECTED
from .roles import LINE, LOWER, UPPER, guided

if TYPE_CHECKING:
    from .contract import Bools, Floats


def _bands_of_range(bars: Panel, p: Parameters, atr: Floats, usual: Floats, turnover_now: Floats) -> Values:
    close, middle = bars.close[-1], close_mean(bars, p.middle)[-1]
    regime = Coded.select([atr > (1 + p.margin) * usual, atr < (1 - p.margin) * usual], ["升温", "降温"], "稳定")
    percent = np.where(close == 0, 0.0, atr / close * 100)
    reach = p.width * atr
    bars.note(SMA20=middle, ATR14=atr, usual_ATR14=usual)
    return Values(regime, percent, middle + reach, middle, middle - reach, turnover_now, close)


def atr_bands_from_mean(bars: Panel, p: Parameters) -> Values:
    """The average true range begins with a mean. Source: Wilder (1978), as TA-Lib begins ATR."""
    ranges = true_range_from_mean(bars, p.atr, p.median)
    return _bands_of_range(bars, p, ranges[-1], np.median(ranges, axis=0), bars.quote_volume[-1])


@indicator(
    id="atr_bands",
    title="ATR bands",
    family="volatility",
    inputs=("high", "low", "close", "quote_volume"),
    columns=(
        text(
            "regime",
            "volatility against its own median: rising, falling or stable",
            {"升温": "rising", "降温": "falling", "稳定": "stable"},
        ),
        number("atr_percent", "average true range relative to the close", unit="percent"),
        price("upper", "20-bar mean plus two average true ranges", role=UPPER),
        price("middle", "20-bar mean of the close"),
        price("lower", "20-bar mean less two average true ranges", role=LOWER),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="upper = SMA20 + 2 ATR14; lower = SMA20 - 2 ATR14; regime by ATR14 against its 30-bar median ± 10 %",
    min_bars=lambda p: max(p.middle, p.median),
    parameters={"middle": 20, "atr": 14, "width": 2.0, "median": 30, "margin": 0.1},
    shares={average_true_range: ("atr",)},
    variants={CORRECTED: atr_bands_from_mean},
    minima={CORRECTED: lambda p: max(p.middle, p.atr + p.median)},
)
def atr_bands(bars: Panel, p: Parameters) -> Values:
    """Bands of two average true ranges (Wilder, 14) around the 20-bar mean, with the volatility regime."""
    atr, usual = chains.usual_true_range(bars, p.atr, p.median)
    return _bands_of_range(bars, p, atr, usual, turnover(bars))


def _bollinger(bars: Panel, p: Parameters, ddof: int, steps: int, between: float, turnover_now: Floats) -> Values:
    """``steps`` of the middle band make its slope; ``between`` is where a close lies between equal bands."""
    means = close_mean(bars, p.period)
    middle, deviation = means[-1], rolling.tail_std(bars.close[-p.period :], ddof)
    upper, lower = middle + p.width * deviation, middle - p.width * deviation
    price_now = bars.close[-1]
    bars.note(SMA20=means, std20=deviation)
    return Values(
        (upper - lower) / middle * 100,
        (middle - means[-10]) / steps,
        middle,
        upper,
        lower,
        np.where(upper == lower, between, (price_now - lower) / (upper - lower)),
        price_now,
        turnover_now,
        defined=np.isfinite(upper) & (middle != 0),
    )


def bollinger_of_the_population(bars: Panel, p: Parameters) -> Values:
    """The standard deviation is the population's; the slope of nine bars is a ninth of the change over them.

    Where the bands are one the close lies half-way between them. Source: Bollinger (2001).
    """
    return _bollinger(bars, p, 0, 9, 0.5, bars.quote_volume[-1])


@indicator(
    id="bollinger",
    title="Bollinger bands",
    family="volatility",
    inputs=("close", "quote_volume"),
    columns=(
        number("bandwidth", "width of the bands relative to the middle", unit="percent", role=LINE.on_request),
        difference("middle_slope", "slope of the middle band per bar", role=LINE.on_request),
        price("middle", "20-bar mean of the close"),
        price("upper", "mean plus two standard deviations", role=UPPER),
        price("lower", "mean less two standard deviations", role=LOWER),
        number("percent_b", "position of the close between the bands, 0 to 1", unit="fraction", role=guided(0, 1)),
        price("price", "close of the bar"),
        number("turnover", "turnover of the bar", unit="quote"),
    ),
    formula="upper = SMA20 + 2 std20; lower = SMA20 - 2 std20; std20 of the sample; slope over 9 bars divided by 10",
    min_bars=lambda p: max(p.period, 10),
    parameters={"period": 20, "width": 2.0},
    variants={CORRECTED: bollinger_of_the_population},
    minima={CORRECTED: lambda p: p.period + 9},
)
def bollinger(bars: Panel, p: Parameters) -> Values:
    """Bollinger bands over 20 bars (all bars of a shorter series). Source: Bollinger (1980s), with the sample std."""
    return _bollinger(bars, p, 1, 10, 0.0, turnover(bars))


@indicator(
    id="donchian",
    title="Donchian channel",
    family="volatility",
    inputs=("high", "low"),
    columns=(
        price("upper", "highest high of 20 bars, the newest included", role=UPPER),
        price("middle", "mean of the upper and the lower band"),
        price("lower", "lowest low of 20 bars, the newest included", role=LOWER),
    ),
    formula="upper = high20; lower = low20; middle = (upper + lower) / 2",
    min_bars=lambda p: p.period,
    parameters={"period": 20},
)
def donchian(bars: Panel, p: Parameters) -> Values:
    """Donchian channel, the newest bar included. Source: Donchian, High Finance in Copper (1960)."""
    lower, upper = low_and_high(bars, p.period)
    bars.note(high20=upper, low20=lower)
    return Values(upper, (upper + lower) / 2, lower)


def _channel(bars: Panel, middle: Floats, atr: Floats, width: float) -> Values:
    bars.note(EMA20=middle, ATR10=atr)
    return Values(middle + width * atr, middle, middle - width * atr, atr)


def keltner_from_mean(bars: Panel, p: Parameters) -> Values:
    """The EMA and the average true range begin with a mean. Source: Keltner (1960) in Linda Raschke's form."""
    return _channel(bars, close_ema_from_mean(bars, p.period)[-1], true_range_from_mean(bars, p.atr, 1)[-1], p.width)


@indicator(
    id="keltner",
    title="Keltner channel",
    family="volatility",
    inputs=("high", "low", "close"),
    columns=(
        price("upper", "middle plus two average true ranges", role=UPPER),
        price("middle", "EMA of 20 bars"),
        price("lower", "middle less two average true ranges", role=LOWER),
        difference("atr", "average true range of 10 bars", role=LINE.on_request),
    ),
    formula="upper = EMA20 + 2 ATR10; lower = EMA20 - 2 ATR10; EMA20 of the close",
    min_bars=lambda p: p.period,
    parameters={"period": 20, "atr": 10, "width": 2.0},
    shares={close_ema: ("period",), average_true_range: ("atr",)},
    variants={CORRECTED: keltner_from_mean},
)
def keltner(bars: Panel, p: Parameters) -> Values:
    """Keltner channel around an EMA. Source: Keltner (1960) in Linda Raschke's form."""
    return _channel(bars, close_ema(bars, p.period)[-1], average_true_range(bars, p.atr, 1)[-1], p.width)


RATIOS = np.array([0.236, 0.382, 0.5, 0.618, 0.764, 1.0])


#: What is said of each band between a fraction and the one below it, from the narrowest on, above and below.
_ABOVE, _BELOW = ([f"{side}({ratio})" for ratio in RATIOS.tolist()] for side in ("上通道", "下通道"))


def _basis_and_deviation(bars: Panel, p: Parameters, ddof: int) -> tuple[Floats, Floats]:
    typical = typical_price(bars)
    traded = np.stack([bars.volume, typical * bars.volume], axis=1)
    volume, turnover_ = rolling.moving_sum(traded, p.period, bars.first, rows=1)[0][0]
    return turnover_ / volume, p.width * rolling.tail_std(typical[-p.period :], ddof)


def _left(before: Floats, close: Floats, upper: Floats, lower: Floats, distance: Floats) -> tuple[Bools, Bools, Floats]:
    """Whether the close has left a band upwards, or downwards, and how strongly; (series,) each."""
    # The narrowest band that the close has left decides, on either side.
    up, down = (before <= upper) & (close > upper), (before >= lower) & (close < lower)
    left = (up | down).any(axis=0)
    band = (up | down).argmax(axis=0)
    buy = left & np.take_along_axis(up, band[None], axis=0)[0]
    strength = np.where(left, (band + 1) * (1 + np.minimum(distance / 50, 1)), np.minimum(distance / 10, 6))
    return buy, left & ~buy, strength


def vwma_fib_bands_by_band(bars: Panel, p: Parameters) -> Values:
    """The zone is the narrowest band that holds the close, and has its own name beyond the widest.

    The standard deviation is the population's, no constant bounds it, and bars without volume have no basis and the
    signal to wait. Source: the volume-weighted mean with Fibonacci fractions of a deviation, of charting packages.
    """
    basis, deviation = _basis_and_deviation(bars, p, 0)
    close, before = bars.close[-1], bars.close[-2]
    upper, lower = basis + RATIOS[:, None] * deviation, basis - RATIOS[:, None] * deviation
    distance = np.where(close == basis, 0.0, np.abs(close - basis) / deviation * 100)
    above, known = close >= basis, np.isfinite(basis)
    bars.note(VWMA200=basis, widest=deviation, distance=distance)
    within = [above & (close <= band) for band in upper] + [~above & (close >= band) for band in lower]
    zone = Coded.select([~known, *within, above], [None, *_ABOVE, *_BELOW, "上通道外"], "下通道外")
    buy, sell, strength = _left(before, close, upper, lower, distance)
    return Values(
        Coded.select([buy, sell], ["买入", "卖出"], "观望"),
        Coded.select([~known, buy | ~sell & above], [None, "多头"], "空头"),
        np.where(known, strength, np.nan),
        zone,
        basis,
    )


@indicator(
    id="vwma_fib_bands",
    title="Fibonacci bands around the VWMA",
    family="volatility",
    inputs=("high", "low", "close", "volume"),
    columns=(
        text(
            "signal",
            "buy or sell where the close leaves a band, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait", "数据不足": "too few bars"},
        ),
        text("direction", "long or short", {"多头": "long", "空头": "short"}),
        number("strength", "rank of the band left, or distance from the basis", unit="score", role=LINE.on_request),
        text(
            "zone",
            "inside the widest band above or below the basis, or outside",
            {"上通道(1.0)": "upper channel", "下通道(1.0)": "lower channel", "中间": "outside"},
        ),
        price("basis", "volume-weighted mean of 200 bars"),
    ),
    formula="VWMA200(tp) ± (0.236, 0.382, 0.5, 0.618, 0.764, 1) x 3 std200(tp)",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 200, "width": 3.0},
    variants={CORRECTED: vwma_fib_bands_by_band},
    variant_words={
        "zone": {word: f"upper channel up to {ratio:g}" for word, ratio in zip(_ABOVE[:-1], RATIOS, strict=False)}
        | {word: f"lower channel up to {ratio:g}" for word, ratio in zip(_BELOW[:-1], RATIOS, strict=False)}
        | {"上通道外": "above the upper channel", "下通道外": "below the lower channel"}
    },
)
def vwma_fib_bands(bars: Panel, p: Parameters) -> Values:
    """Fibonacci fractions of three standard deviations around a volume-weighted mean."""
    basis, deviation = _basis_and_deviation(bars, p, 1)
    close, before = bars.close[-1], bars.close[-2]
    upper, lower = basis + RATIOS[:, None] * deviation, basis - RATIOS[:, None] * deviation
    distance = np.abs(close - basis) / np.maximum(deviation, 1e-9) * 100
    above = close >= basis
    bars.note(VWMA200=basis, widest=deviation, distance=distance)
    # Without volume there is no basis, and nothing to say.
    known = np.isfinite(basis)
    zone = Coded.select(
        [~known, above & (close <= upper[-1]), ~above & (close >= lower[-1])],
        [None, "上通道(1.0)", "下通道(1.0)"],
        "中间",
    )
    buy, sell, strength = _left(before, close, upper, lower, distance)
    return Values(
        Coded.select([~known, buy, sell], [None, "买入", "卖出"], "观望"),
        Coded.select([~known, buy | ~sell & above], [None, "多头"], "空头"),
        strength,
        zone,
        basis,
    )
