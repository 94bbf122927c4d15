"""Momentum: where a price stands in its recent range, and how fast it moves there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Coded, Panel, Parameters, Values, indicator, number, price, text
from .kernels import chains, pivots, recursions, rolling
from .kernels.bars import close_ema, close_ema_from_mean, low_and_high, true_range_from_mean, turnover, typical_price
from .profiles import CORRECTED
from .roles import LINE, guided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .contract import Bools, Floats


def _crossing(k: Floats, d: Floats) -> tuple[Coded, Floats]:
    """What the newest two rows of K and D say, and the newest J."""
    j = 3 * k[-1] - 2 * d[-1]
    signal = Coded.select(
        [(k[-2] <= d[-2]) & (k[-1] > d[-1]), (k[-2] >= d[-2]) & (k[-1] < d[-1]), j > 100, j < 0],
        ["金叉", "死叉", "J>100 极值", "J<0 极值"],
        "延续",
    )
    return signal, j


def kdj_from_50(bars: Panel, p: Parameters) -> Values:
    """K and D begin with 50 before the first position, and a range of zero has the position 50.

    Source: Lane's stochastic; the beginning is that of Chinese charts.
    """
    low, high = rolling.lowest(bars.low, p.period), rolling.highest(bars.high, p.period)
    position = np.where(high == low, 50.0, (bars.close[p.period - 1 :] - low) / (high - low) * 100)
    # Row i + 1 belongs to bar i + period - 1, so that in the row of a series' first bar stands what comes before.
    earlier = np.concatenate([np.full((1, bars.series), np.nan), position])
    begun = bars.first < len(earlier)
    earlier[bars.first[begun], begun] = 50.0
    k = recursions.ema(earlier, 1 / p.smoothing, bars.first)
    d = recursions.ema(k, 1 / p.smoothing, bars.first, rows=2)
    signal, j = _crossing(k, d)
    bars.note(low9=low, high9=high, RSV=position, K=k, D=d, J=j)
    return Values(j, k[-1], d[-1], signal, bars.quote_volume[-1], bars.close[-1])


@indicator(
    id="kdj",
    title="KDJ stochastic",
    family="momentum",
    inputs=("high", "low", "close", "quote_volume"),
    columns=(
        number("j", "3 K - 2 D", unit="score", role=guided(20, 80)),
        number("k", "smoothed position in the 9-bar range", unit="score"),
        number("d", "smoothed K", unit="score"),
        text(
            "signal",
            "cross of K and D, an extreme J, or that the move goes on",
            {
                "金叉": "golden cross",
                "死叉": "death cross",
                "J>100 极值": "J above 100",
                "J<0 极值": "J below 0",
                "延续": "continues",
            },
        ),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="RSV = (close - low9) / (high9 - low9) 100; K = EMA(RSV, 1/3); D = EMA(K, 1/3); J = 3 K - 2 D",
    min_bars=lambda p: p.period + 4,
    parameters={"period": 9, "smoothing": 3},
    variants={CORRECTED: kdj_from_50},
)
def kdj(bars: Panel, p: Parameters) -> Values:
    """Stochastic oscillator with the J line. Source: Lane's stochastic; the 1/3 smoothing of Chinese charts.

    Bars whose 9-bar range is zero have no RSV: K stays, D goes on towards K.
    """
    low, high = rolling.lowest(bars.low, p.period), rolling.highest(bars.high, p.period)
    position = (bars.close[p.period - 1 :] - low) / (high - low) * 100
    # Row i of these belongs to bar i + period - 1, so a series' first position is in the row of its first bar; K begins
    # with the third position.
    k, d = chains.smoothed_twice(position, 1 / p.smoothing, 3, bars.first)
    signal, j = _crossing(k, d)
    bars.note(low9=low, high9=high, RSV=position, K=k, D=d, J=j)
    return Values(j, k[-1], d[-1], signal, turnover(bars), bars.close[-1], defined=np.isfinite(j))


def williams_r_of_any_price(bars: Panel, p: Parameters) -> Values:
    """No constant is added to the divisor, so a price of any size has the same; -50 where there is no range.

    Source: Williams (1973).
    """
    low, high = low_and_high(bars, p.period)
    bars.note(high14=high, low14=low)
    return Values(np.where(high == low, -50.0, -100 * (high - bars.close[-1]) / (high - low)))


@indicator(
    id="williams_r",
    title="Williams %R",
    family="momentum",
    inputs=("high", "low", "close"),
    columns=(
        number(
            "williams_r", "distance of the close from the 14-bar high, -100 to 0", unit="score", role=guided(-80, -20)
        ),
    ),
    formula="williams_r = -100 (high14 - close) / (high14 - low14 + 1e-10)",
    min_bars=lambda p: p.period,
    parameters={"period": 14},
    variants={CORRECTED: williams_r_of_any_price},
)
def williams_r(bars: Panel, p: Parameters) -> Values:
    """Williams %R, -100 (close at the low) to 0 (close at the high). Source: Williams (1973)."""
    low, high = low_and_high(bars, p.period)
    bars.note(high14=high, low14=low)
    return Values(-100 * (high - bars.close[-1]) / (high - low + 1e-10))


def _money_flow(bars: Panel, p: Parameters) -> tuple[Floats, Floats]:
    """Rising and falling money flow of the newest bars; (series,) each."""
    typical = typical_price(bars)[-p.period - 1 :]
    change, flow = np.diff(typical, axis=0), typical[1:] * bars.volume[-p.period :]
    rising = rolling.tail_sum(np.where(change > 0, flow, 0.0))
    falling = rolling.tail_sum(np.where(change < 0, flow, 0.0))
    bars.note(typical=typical, flow=flow, rising_flow=rising, falling_flow=falling)
    return rising, falling


def mfi_without_falls(bars: Panel, p: Parameters) -> Values:
    """100 rising flow / (rising + falling flow): 100 without falling flow, 50 without either.

    Source: Quong and Soudack (1989).
    """
    rising, falling = _money_flow(bars, p)
    return Values(np.where(rising + falling == 0, 50.0, 100 * (rising / (rising + falling))))


@indicator(
    id="mfi",
    title="Money flow index",
    family="momentum",
    inputs=("high", "low", "close", "volume"),
    columns=(number("mfi", "share of rising money flow over 14 bars, 0 to 100", unit="score", role=guided(20, 80)),),
    formula="flow = typical x volume; mfi = 100 - 100 / (1 + rising_flow / falling_flow); NULL without falling flow",
    min_bars=lambda p: p.period + 1,
    parameters={"period": 14},
    variants={CORRECTED: mfi_without_falls},
)
def mfi(bars: Panel, p: Parameters) -> Values:
    """Money flow index of 14 bars. Source: Quong and Soudack (1989)."""
    rising, falling = _money_flow(bars, p)
    return Values(np.where(falling == 0, np.nan, 100 - 100 / (1 + rising / falling)))


#: Bars among which an RSI counts as one of late.
_LATE = 10


def _scalp(rebound: Bools, pullback: Bools, rsi: Floats, fast: Floats, slow: Floats, close: Floats) -> Values:
    rising, falling = (close > fast) & (fast > slow), (close < fast) & (fast < slow)
    signal = Coded.select(
        [rebound & rising, pullback & falling, (fast > slow) & (rsi > 50), (fast < slow) & (rsi < 50)],
        ["超卖反弹", "超买回落", "多头", "空头"],
        "观望",
    )
    return Values(signal, rsi, fast, slow, close)


def scalping_of_late(bars: Panel, p: Parameters) -> Values:
    """A rebound is a price in rising order whose RSI was below 30 in one of the newest 10 bars; a pullback likewise.

    RSI and EMAs begin with a mean; RSI is 100 where the price never fell, 50 where it never moved.
    Source: Wilder (1978), as TA-Lib begins RSI; that an extreme of late counts is a convention.
    """
    late = chains.rsi_from_mean(bars.close, p.rsi, bars.first, _LATE)
    rebound, pullback = np.fmin.reduce(late, axis=0) < 30, np.fmax.reduce(late, axis=0) > 70
    fast, slow = (close_ema_from_mean(bars, period)[-1] for period in (p.fast, p.slow))
    bars.note(RSI14=late, EMA9=fast, EMA21=slow)
    return _scalp(rebound, pullback, late[-1], fast, slow, bars.close[-1])


@indicator(
    id="scalping",
    title="Scalping signal",
    family="momentum",
    inputs=("close",),
    columns=(
        text(
            "signal",
            "RSI and the order of two EMAs",
            {
                "超卖反弹": "rebound from oversold",
                "超买回落": "pullback from overbought",
                "多头": "bullish",
                "空头": "bearish",
                "观望": "wait",
            },
        ),
        number(
            "rsi", "relative strength of 14 bars, NULL where the price never fell", unit="score", role=guided(30, 70)
        ),
        price("ema9", "EMA of 9 bars"),
        price("ema21", "EMA of 21 bars"),
        price("price", "close of the bar"),
    ),
    formula="RSI14 = 100 - 100 / (1 + gain / loss); both in Wilder's smoothing from 0; EMA9 and EMA21 of the close",
    min_bars=lambda p: max(p.rsi, p.slow) + 1,
    parameters={"rsi": 14, "fast": 9, "slow": 21},
    shares={close_ema: ("fast", "slow")},
    variants={CORRECTED: scalping_of_late},
)
def scalping(bars: Panel, p: Parameters) -> Values:
    """Wilder's RSI with a fast and a slow EMA."""
    gain, loss = chains.rises_and_falls(bars.close, 1 / p.rsi, bars.first)
    rsi = np.where(loss == 0, np.nan, 100 - 100 / (1 + gain / loss))
    fast, slow = close_ema(bars, p.fast)[-1], close_ema(bars, p.slow)[-1]
    bars.note(gain=gain, loss=loss, RSI14=rsi, EMA9=fast, EMA21=slow)
    return _scalp(rsi < 30, rsi > 70, rsi, fast, slow, bars.close[-1])


def harmonic_rsi_from_mean(bars: Panel, p: Parameters) -> Values:
    """Every RSI begins with a mean; it is 100 where the price never fell, 50 where it never moved.

    Source: Wilder (1978), as TA-Lib begins RSI.
    """
    typical = typical_price(bars)
    each = [chains.rsi_from_mean(typical, k, bars.first, 1)[-1] for k in range(p.fastest, p.slowest + 1)]
    _note_each(bars, p, each)
    return Values(rolling.tail_mean(np.stack(each)))


def _note_each(bars: Panel, p: Parameters, each: Iterable[Floats]) -> None:
    bars.note(**{f"RSI{period}": rsi for period, rsi in enumerate(each, p.fastest)})


@indicator(
    id="harmonic_rsi",
    title="Mean of 32 RSIs",
    family="momentum",
    inputs=("high", "low", "close"),
    columns=(number("harmonic", "mean RSI of the periods 2 to 33, 0 to 100", unit="score", role=guided(30, 70)),),
    formula="mean of RSI(k) of the typical price in Wilder's smoothing, k = 2 to 33; NULL where it never fell",
    min_bars=lambda p: p.slowest + 1,
    parameters={"fastest": 2, "slowest": 33},
    variants={CORRECTED: harmonic_rsi_from_mean},
)
def harmonic_rsi(bars: Panel, p: Parameters) -> Values:
    """Mean of RSIs of many periods over the typical price."""
    fading = 1 - 1 / np.arange(p.fastest, p.slowest + 1.0)
    typical = typical_price(bars)
    bars.note(tp=typical)
    return Values(chains.mean_strength(typical, fading))


def _deviation(bars: Panel, p: Parameters) -> tuple[Floats, Floats]:
    """Distance of the typical price from its mean, and the mean distance times the constant; (series,) each."""
    typical = typical_price(bars)[-p.period :]
    mean = rolling.tail_mean(typical)
    usual = rolling.tail_mean(np.abs(typical - mean))
    bars.note(tp=typical, SMA20=mean, mean_distance=usual)
    return typical[-1] - mean, p.constant * usual


def cci_of_any_price(bars: Panel, p: Parameters) -> Values:
    """No constant is added to the divisor, so a price of any size has the same; 0 over equal bars.

    Source: Lambert (1980); TA-Lib has 0 over equal bars, too.
    """
    distance, usual = _deviation(bars, p)
    return Values(np.where(usual == 0, 0.0, distance / usual))


@indicator(
    id="cci",
    title="Commodity channel index",
    family="momentum",
    inputs=("high", "low", "close"),
    columns=(
        number(
            "cci",
            "distance of the typical price from its mean in mean deviations",
            unit="score",
            role=guided(-100, 100),
        ),
    ),
    formula="tp = (high + low + close) / 3; cci = (tp - SMA20) / (0.015 mean_distance + 1e-10); both of tp",
    min_bars=lambda p: p.period,
    parameters={"period": 20, "constant": 0.015},
    variants={CORRECTED: cci_of_any_price},
)
def cci(bars: Panel, p: Parameters) -> Values:
    """Commodity channel index of 20 bars. Source: Lambert (1980)."""
    distance, usual = _deviation(bars, p)
    return Values(distance / (usual + 1e-10))


_DIVERGENCE_BARS = 50
#: Bars of the average that says which way the trend goes: far slower than the RSIs, which follow the price.
_TREND = 100


def smart_rsi_of_wilder(bars: Panel, p: Parameters) -> Values:
    """RSIs in Wilder's smoothing against thresholds by Wilder's ATR, the trend by an EMA of 100 bars.

    A divergence needs the RSIs of the newest 50 bars, and is NULL without; a range of volatility of zero leaves the
    thresholds as they are. Source: Wilder (1978), as TA-Lib begins RSI, ATR and EMA; the slower trend is a convention.
    """
    ranges = true_range_from_mean(bars, p.atr)
    low, high = np.fmin.reduce(ranges, axis=0), np.fmax.reduce(ranges, axis=0)
    place = np.where(high == low, 0.5, (ranges[-1] - low) / (high - low))
    recent = chains.rsi_from_mean(bars.close, p.medium, bars.first, _DIVERGENCE_BARS)
    fast, slow = (chains.rsi_from_mean(bars.close, period, bars.first, 1)[-1] for period in (p.fast, p.slow))
    trend, close = close_ema_from_mean(bars, _TREND)[-1], bars.close[-1]
    silent = bars.lengths < p.medium + _DIVERGENCE_BARS
    bars.note(ATR14=ranges, place=place, RSI7=fast, RSI14=recent, RSI21=slow, EMA100=trend)
    divergence = _divergence(bars, recent, silent, None, lambda rsi: rsi)
    return _judged(p, np.stack([fast, recent[-1], slow]), place, close > trend, close < trend, divergence)


def _judged(
    p: Parameters, rsi: Floats, place: Floats, up: Bools, down: Bools, divergence: tuple[Coded, Floats]
) -> Values:
    """What three RSIs say; ``place`` is that of the volatility in its range, 0 to 1."""
    factor = 1 + (place - 0.5) * 0.2
    overbought, oversold = np.minimum(80, p.overbought * factor), np.maximum(20, p.oversold / factor)
    valid = ~np.isnan(rsi)
    mean = np.where(valid.any(axis=0), rolling.tail_mean(rsi), 0.0)
    low_twice, high_twice = (rsi < oversold).sum(axis=0) >= 2, (rsi > overbought).sum(axis=0) >= 2
    buy, sell, known = up & low_twice, down & high_twice, valid.any(axis=0)
    strength = np.select(
        [~known, buy, sell],
        [0.0, (oversold - mean) / oversold * 100, (mean - overbought) / (100 - overbought) * 100],
        np.abs(50 - mean) / 50 * 100,
    )
    strength = np.clip(np.abs(strength), 0, 100)
    kind, size = divergence
    agrees = buy & kind.are("底背离") | sell & kind.are("顶背离")
    return Values(
        Coded.select([buy, sell], ["买入", "卖出"], "观望"),
        Coded.select([buy, sell], ["多头", "空头"], "震荡"),
        np.where(agrees, np.minimum(100, strength + 0.5 * size), strength),
        mean,
        *rsi,
        Coded.select([~known, low_twice, high_twice], ["中性", "超卖区", "超买区"], "中性区"),
        kind,
        overbought,
        oversold,
    )


@indicator(
    id="smart_rsi",
    title="RSI with adaptive thresholds",
    family="momentum",
    inputs=("high", "low", "close"),
    columns=(
        text(
            "signal",
            "buy or sell where two RSIs are extreme against the trend, else wait",
            {"买入": "buy", "卖出": "sell", "观望": "wait"},
        ),
        text("direction", "long, short or sideways", {"多头": "long", "空头": "short", "震荡": "sideways"}),
        number("strength", "how extreme, 0 to 100", unit="score", role=LINE.on_request),
        number("rsi_mean", "mean of the three RSIs", unit="score", role=LINE.on_request),
        number("rsi7", "RSI of 7 bars", unit="score"),
        number("rsi14", "RSI of 14 bars", unit="score"),
        number("rsi21", "RSI of 21 bars", unit="score"),
        text(
            "zone",
            "oversold, overbought or neutral",
            {"超卖区": "oversold", "超买区": "overbought", "中性区": "neutral", "中性": "no RSI"},
        ),
        text(
            "divergence",
            "price and RSI pivots that disagree",
            {
                "none": "too few RSIs",
                "顶背离": "bearish divergence",
                "底背离": "bullish divergence",
                "无背离": "no divergence",
            },
        ),
        number("overbought", "threshold above which an RSI is high", unit="score", role=LINE.short),
        number("oversold", "threshold below which an RSI is low", unit="score", role=LINE.long),
    ),
    formula="RSI 7, 14 and 21 with weighted means; thresholds 70 and 30 shifted by the place of ATR14 in its range",
    min_bars=lambda p: p.slow + 1,
    parameters={"fast": 7, "medium": 14, "slow": 21, "atr": 14, "trend": 34, "overbought": 70.0, "oversold": 30.0},
    shares={close_ema: ("trend",)},
    variants={CORRECTED: smart_rsi_of_wilder},
)
def smart_rsi(bars: Panel, p: Parameters) -> Values:
    """Three RSIs against thresholds that follow volatility, with divergences from the price's pivots."""
    low, high, atr = chains.range_of_average_true_range(bars, recursions.span(p.atr))
    periods = np.array([p.fast, p.medium, p.slow], dtype=np.float64)
    # A mean of fewer changes than its period has does not count.
    means, ratios, known_bars = chains.weighted_rises_and_falls(bars.close, periods, 1, _DIVERGENCE_BARS, bars.first)
    rsi = 100 - 100 / (1 + means[:, 0] / means[:, 1])
    trend = close_ema(bars, p.trend)[-1]
    up = bars.close[-1] > trend
    bars.note(ATR14=atr, ATR_low=low, ATR_high=high, RSI7=rsi[0], RSI14=rsi[1], RSI21=rsi[2], EMA34=trend)
    # With more than a tenth of the RSI missing (its first 14 values always are) nothing is said.
    silent = bars.lengths - known_bars > 0.1 * bars.lengths
    divergence = _divergence(bars, ratios, silent, "none", _strength)
    return _judged(p, rsi, (atr - low) / (high - low + 1e-10), up, ~up, divergence)


def _strength(ratio: Floats) -> Floats:
    return 100 - 100 / (1 + ratio)


def _divergence(
    bars: Panel, recent: Floats, silent: Bools, word: str | None, strength: Callable[[Floats], Floats]
) -> tuple[Coded, Floats]:
    """Kind and size of the divergence between the last two price pivots and the RSI there, each of shape (series,).

    ``strength`` makes the RSI of what ``recent`` has of the newest bars. Where a series is ``silent`` the
    kind is ``word``.
    """
    high, low = bars.high[-_DIVERGENCE_BARS:], bars.low[-_DIVERGENCE_BARS:]
    highs, lows = pivots.newest_highs(high, 5, 2), pivots.newest_lows(low, 5, 2)
    enough = (highs[1] >= 0) & (lows[1] >= 0)
    high_now, high_before = pivots.pick(high, highs)
    low_now, low_before = pivots.pick(low, lows)
    rsi_at_high, rsi_at_high_before = strength(pivots.pick(recent, highs))
    rsi_at_low, rsi_at_low_before = strength(pivots.pick(recent, lows))
    bearish = enough & (high_now > high_before) & (rsi_at_high < rsi_at_high_before)
    bullish = enough & ~bearish & (low_now < low_before) & (rsi_at_low > rsi_at_low_before)
    size = np.select(
        [bearish, bullish],
        [
            np.minimum((rsi_at_high_before - rsi_at_high) / rsi_at_high_before * 100, 100),
            np.minimum((rsi_at_low - rsi_at_low_before) / rsi_at_low_before * 100, 100),
        ],
        0.0,
    )
    kind = Coded.select([silent, bearish, bullish], [word, "顶背离", "底背离"], "无背离")
    return kind, np.where(silent, 0.0, size)
