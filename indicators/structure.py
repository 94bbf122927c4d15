"""Structure: the levels that a price respects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .contract import Coded, Panel, Parameters, Values, difference, indicator, number, price, text
from .kernels import pivots, recursions
from .kernels.bars import average_true_range, close_ema, close_ema_from_mean, low_and_high, true_range_from_mean
from .profiles import CORRECTED
from .roles import BOTTOM, HISTOGRAM, LINE, STEP, STRIP, TOP

if TYPE_CHECKING:
    from .contract import Bools, Floats, Ints


def _levels(bars: Panel, support: Floats, resistance: Floats, atr: Floats) -> Values:
    close = bars.close[-1]
    below = np.where(close == 0, 0.0, (close - support) / close * 100)
    above = np.where(close == 0, 0.0, (resistance - close) / close * 100)
    nearest = np.minimum(np.abs(below), np.abs(above))
    bars.note(low20=support, high20=resistance, ATR14=atr)
    return Values(support, resistance, close, atr, below, above, nearest)


def support_resistance_before(bars: Panel, p: Parameters) -> Values:
    """Extremes of the 20 bars before the newest, which so can break them; the average true range begins with a mean.

    Source: the channel breakout of Donchian; Wilder (1978) as TA-Lib begins ATR.
    """
    support, resistance = low_and_high(bars, p.period, before=1)
    return _levels(bars, support, resistance, true_range_from_mean(bars, p.atr, 1)[-1])


@indicator(
    id="support_resistance",
    title="Support and resistance",
    family="structure",
    inputs=("high", "low", "close"),
    columns=(
        price("support", "lowest low of 20 bars, the newest included", role=STEP.long),
        price("resistance", "highest high of 20 bars, the newest included", role=STEP.short),
        price("price", "close of the bar"),
        difference("atr", "average true range", role=LINE.on_request),
        number("support_distance", "close above the support", unit="percent", role=LINE.long),
        number("resistance_distance", "resistance above the close", unit="percent", role=LINE.short),
        number("nearest_distance", "distance to the nearer of the two", unit="percent", role=LINE.on_request),
    ),
    formula="support = low20; resistance = high20; support_distance = (close - low20) / close 100; ATR14 is Wilder's",
    min_bars=lambda p: p.period,
    parameters={"period": 20, "atr": 14},
    shares={average_true_range: ("atr",)},
    variants={CORRECTED: support_resistance_before},
    minima={CORRECTED: lambda p: p.period + 1},
)
def support_resistance(bars: Panel, p: Parameters) -> Values:
    """Extremes of the last 20 bars as support and resistance, with the distance of the close from each."""
    support, resistance = low_and_high(bars, p.period)
    return _levels(bars, support, resistance, average_true_range(bars, p.atr, 1)[-1])


#: Half of the part of the range around its middle that is at equilibrium.
_EQUILIBRIUM = 0.025


def structure_of_one_event(bars: Panel, p: Parameters) -> Values:
    """One event counts: a break with the bias 3.5, against it 4.5; of two broken swings the newer one.

    Distances go by Wilder's average true range. A gap lies between the first and the third of three bars, of which the
    newest may be the third. An order block holds until a close lies beyond it. The outermost zones count as those
    beside them, the middle 5 % of the range are at equilibrium. Source: the gap, the equilibrium and the broken block
    are those of LuxAlgo's Smart Money Concepts; the weights are a convention.
    """
    close = bars.close[-1]
    rows_high, rows_low = pivots.newest_highs(bars.high, p.half, 1), pivots.newest_lows(bars.low, p.half, 1)
    high, low = pivots.pick(bars.high, rows_high)[0], pivots.pick(bars.low, rows_low)[0]
    trend = close_ema_from_mean(bars, p.trend)[-1]
    bull = close >= trend
    over, under = close > high, close < low
    newer_high = rows_high[0] >= rows_low[0]
    over, under = over & (newer_high | ~under), under & (~newer_high | ~over)
    event = Coded.select(
        [under & bull, over & ~bull, under, over],
        ["结构反转向下", "结构反转向上", "空头突破", "多头突破"],
        "区间震荡",
    )
    score = np.select([over, under], [np.where(bull, 3.5, 4.5), np.where(bull, -4.5, -3.5)], 0.0)
    reach = 2 * true_range_from_mean(bars, _RANGE_BARS, 1)[-1]
    distance = np.where(bull, close - low, high - close)
    place = np.where(reach == 0, 0.5, np.clip((distance + reach) / (2 * reach), 0, 1))
    score = score + np.where(np.isnan(distance), 0.0, 0.2 * place)

    found, top, bottom, row = _order_block(bars, bull)
    later = np.arange(len(bars.close[-8:]))[:, None] > row
    beyond = np.where(bull, bars.close[-8:] < bottom, bars.close[-8:] > top)
    block = found & ~(later & beyond).any(axis=0)
    first_high, first_low = bars.high[-7:-2], bars.low[-7:-2]
    gaps = np.where(bars.low[-5:] > first_high, 1, np.where(bars.high[-5:] < first_low, -1, 0))
    gap = recursions.held(gaps)[-1]
    ceiling, floor = _range(bars, p.range)
    middle, near = (ceiling + floor) / 2, _EQUILIBRIUM * (ceiling - floor)
    bars.note(EMA34=trend, score_of_breaks=score, place=place, reach=reach, high100=ceiling, low100=floor)
    zone = Coded.select(
        [np.abs(close - middle) <= near, close >= ceiling, close > middle, close <= floor],
        ["均衡区", "极端溢价", "溢价区", "极端折价"],
        "折价区",
    )
    return _scored(
        score, event, bull, (block, np.where(block, top, np.nan), np.where(block, bottom, np.nan)), gap, zone,
        (zone.are("折价区") | zone.are("极端折价"), zone.are("溢价区") | zone.are("极端溢价")), (high, low),
    )  # fmt: skip


#: Bars of the average true range that distances go by.
_RANGE_BARS = 14


def _range(bars: Panel, width: int) -> tuple[Floats, Floats]:
    """Highest high and lowest low of the newest bars, of fewer where there are fewer; (series,) each."""
    width = min(width, bars.rows)
    return np.fmax.reduce(bars.high[-width:], axis=0), np.fmin.reduce(bars.low[-width:], axis=0)


def _scored(
    score: Floats,
    event: Coded,
    bull: Bools,
    order_block: tuple[Bools, Floats, Floats],
    gap: Ints,
    zone: Coded,
    cheap_and_dear: tuple[Bools, Bools],
    swings: tuple[Floats, Floats],
) -> Values:
    """All columns, with what order block, gap and zone add to the score."""
    block, top, bottom = order_block
    cheap, dear = cheap_and_dear
    score = score + np.where(block, np.where(bull, 1.5, -1.5), 0.0)
    score = score + 1.2 * gap
    score = score + 1.0 * (bull & cheap) - 1.0 * (~bull & dear)
    return Values(
        Coded.select([score >= 5, score <= -5], ["买入", "卖出"], "观望"),
        Coded.select([score >= 0], ["多头"], "空头"),
        score,
        event,
        Coded.select([bull], ["多头"], "空头"),
        Coded.select([block & bull, block], ["多头订单块", "空头订单块"], "无"),
        top,
        bottom,
        Coded.select([gap == 1, gap == -1], ["多头缺口", "空头缺口"], "无"),
        zone,
        *swings,
    )


@indicator(
    id="smart_money_structure",
    title="Market structure",
    family="structure",
    inputs=("open", "high", "low", "close"),
    columns=(
        text(
            "signal", "buy from a score of 5, sell from -5, else wait", {"买入": "buy", "卖出": "sell", "观望": "wait"}
        ),
        text("direction", "sign of the score", {"多头": "long", "空头": "short"}, role=STRIP.on_request),
        number("score", "sum of the parts below", unit="score", role=HISTOGRAM),
        text(
            "event",
            "break of a swing, with or against the bias",
            {
                "区间震荡": "ranging",
                "多头突破": "break upwards",
                "空头突破": "break downwards",
                "结构反转向下": "reversal downwards",
                "结构反转向上": "reversal upwards",
            },
        ),
        text("bias", "side of EMA34 that the close is on", {"多头": "long", "空头": "short"}),
        text(
            "order_block",
            "last bar against the bias within 8 bars",
            {"多头订单块": "bullish order block", "空头订单块": "bearish order block", "无": "none"},
        ),
        price("order_block_top", "upper edge of that bar, 0 where there is none", role=TOP),
        price("order_block_bottom", "lower edge of that bar, 0 where there is none", role=BOTTOM),
        text(
            "gap",
            "newest three-bar gap within 5 bars, the newest bar excepted",
            {"多头缺口": "gap up", "空头缺口": "gap down", "无": "none"},
        ),
        text(
            "zone",
            "place of the close in the range of 100 bars",
            {"极端溢价": "extreme premium", "溢价区": "premium", "极端折价": "extreme discount", "折价区": "discount"},
        ),
        price("swing_high", "last pivot high of 5 bars on either side", role=STEP.short),
        price("swing_low", "last pivot low of 5 bars on either side", role=STEP.long),
    ),
    formula="breaks of swings ±3.5, against the bias ±4.5; order block ±1.5; gap ±1.2; zone ±1; distance to swing",
    min_bars=lambda p: p.trend,
    parameters={"trend": 34, "half": 5, "range": 100},
    shares={close_ema: ("trend",)},
    variants={CORRECTED: structure_of_one_event},
    variant_words={"zone": {"均衡区": "equilibrium"}},
)
def smart_money_structure(bars: Panel, p: Parameters) -> Values:
    """Score of swings, order blocks, gaps and the place in the range."""
    close = bars.close[-1]
    swing_high = pivots.pick(bars.high, pivots.newest_highs(bars.high, p.half, 1))[0]
    swing_low = pivots.pick(bars.low, pivots.newest_lows(bars.low, p.half, 1))[0]
    # A swing at a price of zero counts as none.
    high, low = np.where(swing_high == 0, np.nan, swing_high), np.where(swing_low == 0, np.nan, swing_low)
    trend = close_ema(bars, p.trend)[-1]
    bull = close >= trend
    over, under = close > high, close < low
    turn_down, turn_up = bull & under, ~bull & over
    event = Coded.select(
        [turn_down, turn_up, under, over], ["结构反转向下", "结构反转向上", "空头突破", "多头突破"], "区间震荡"
    )
    score = 3.5 * over - 3.5 * under - 4.5 * turn_down + 4.5 * turn_up

    # Row i of the returns belongs to bar i + 1, so a series' first return is in the row of its first bar.
    returns = np.abs(bars.close[1:] / bars.close[:-1] - 1)
    swing = recursions.weighted_mean(returns, 2 / 15, bars.first, rows=1)[-1] * close
    distance = np.where(bull, close - low, high - close)
    place = np.where(swing == 0, 0.5, np.clip((distance - (-2 * swing)) / (2 * swing - (-2 * swing)), 0, 1))
    score = score + np.where(np.isnan(distance), 0.0, 0.2 * place)

    block, top, bottom, _ = _order_block(bars, bull)
    ceiling, floor = _range(bars, p.range)
    bars.note(EMA34=trend, score_of_breaks=score, place=place, swing=swing, high100=ceiling, low100=floor)
    zone = Coded.select(
        [close >= ceiling, close >= (ceiling + floor) / 2, close <= floor], ["极端溢价", "溢价区", "极端折价"], "折价区"
    )
    return _scored(
        score, event, bull, (block, top, bottom), _gap(bars), zone, (zone.are("折价区"), zone.are("溢价区")),
        (swing_high, swing_low),
    )  # fmt: skip


def _order_block(bars: Panel, bull: Bools) -> tuple[Bools, Floats, Floats, Ints]:
    """Whether one of the last 8 bars closed against the bias, the edges of the last that did, and which it is."""
    open_, high, low, close = (values[-8:] for values in (bars.open, bars.high, bars.low, bars.close))
    last = pivots.newest(np.where(bull, close < open_, close > open_), 1)
    opened, closed = pivots.pick(open_, last, 0.0)[0], pivots.pick(close, last, 0.0)[0]
    highest, lowest = pivots.pick(high, last, 0.0)[0], pivots.pick(low, last, 0.0)[0]
    top = np.where(bull, np.maximum(opened, closed), np.maximum(opened, highest))
    bottom = np.where(bull, np.minimum(lowest, opened), np.minimum(opened, closed))
    return last[0] >= 0, top, bottom, last[0]


def _gap(bars: Panel) -> Ints:
    """1 or -1 for the newest gap up or down whose third bar is among the four before the newest; shape (series,)."""
    high, low = bars.high[-7:-1], bars.low[-7:-1]
    up = (low[1:-1] > high[:-2]) & (low[2:] > high[:-2])
    down = (high[1:-1] < low[:-2]) & (high[2:] < low[:-2])
    return recursions.held(np.where(up, 1, np.where(down, -1, 0)))[-1]
