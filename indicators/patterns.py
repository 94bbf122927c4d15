"""Patterns: candlesticks through TA-Lib, and shapes of three bars."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .arrow import encoded
from .contract import Coded, Panel, Values, indicator, integer, number, price, text
from .kernels import candles, pivots, rolling
from .kernels.bars import true_range_from_mean, turnover
from .profiles import CORRECTED
from .roles import LINE, MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contract import Array, Bools, Floats, Ints

#: The candlestick functions with what readers call each pattern, and its English; in TA-Lib's order, which is that of
#: their names.
CANDLES = {
    "CDL2CROWS": ("两只乌鸦", "two crows"),
    "CDL3BLACKCROWS": ("三乌鸦", "three black crows"),
    "CDL3INSIDE": ("内侧三烛线", "three inside"),
    "CDL3LINESTRIKE": ("三线打击", "three-line strike"),
    "CDL3OUTSIDE": ("外侧三烛线", "three outside"),
    "CDL3STARSINSOUTH": ("南方三星", "three stars in the south"),
    "CDL3WHITESOLDIERS": ("三白兵", "three white soldiers"),
    "CDLABANDONEDBABY": ("弃婴", "abandoned baby"),
    "CDLADVANCEBLOCK": ("推进受阻", "advance block"),
    "CDLBELTHOLD": ("捉腰带线", "belt hold"),
    "CDLBREAKAWAY": ("脱离形态", "breakaway"),
    "CDLCLOSINGMARUBOZU": ("收盘光头光脚", "closing marubozu"),
    "CDLCONCEALBABYSWALL": ("藏婴吞没", "concealing baby swallow"),
    "CDLCOUNTERATTACK": ("反击线", "counterattack"),
    "CDLDARKCLOUDCOVER": ("乌云盖顶", "dark cloud cover"),
    "CDLDOJI": ("十字星", "doji"),
    "CDLDOJISTAR": ("十字星", "doji"),
    "CDLDRAGONFLYDOJI": ("蜻蜓十字", "dragonfly doji"),
    "CDLENGULFING": ("吞没形态", "engulfing"),
    "CDLEVENINGDOJISTAR": ("暮星十字", "evening doji star"),
    "CDLEVENINGSTAR": ("暮星", "evening star"),
    "CDLGAPSIDESIDEWHITE": ("并列阴阳线", "side-by-side white lines"),
    "CDLGRAVESTONEDOJI": ("墓碑十字", "gravestone doji"),
    "CDLHAMMER": ("锤子线", "hammer"),
    "CDLHANGINGMAN": ("上吊线", "hanging man"),
    "CDLHARAMI": ("孕线", "harami"),
    "CDLHARAMICROSS": ("十字孕线", "harami cross"),
    "CDLHIGHWAVE": ("高浪线", "high wave"),
    "CDLHIKKAKE": ("陷阱形态", "hikkake"),
    "CDLHIKKAKEMOD": ("改良陷阱形态", "modified hikkake"),
    "CDLHOMINGPIGEON": ("家鸽形态", "homing pigeon"),
    "CDLIDENTICAL3CROWS": ("三胞胎乌鸦", "identical three crows"),
    "CDLINNECK": ("颈内线", "in neck"),
    "CDLINVERTEDHAMMER": ("倒锤子", "inverted hammer"),
    "CDLKICKING": ("踢线", "kicking"),
    "CDLKICKINGBYLENGTH": ("长腿踢线", "kicking by length"),
    "CDLLADDERBOTTOM": ("梯底", "ladder bottom"),
    "CDLLONGLEGGEDDOJI": ("长腿十字", "long-legged doji"),
    "CDLLONGLINE": ("长蜡烛", "long line"),
    "CDLMARUBOZU": ("光头光脚", "marubozu"),
    "CDLMATCHINGLOW": ("匹配低价", "matching low"),
    "CDLMATHOLD": ("接力形态", "mat hold"),
    "CDLMORNINGDOJISTAR": ("晨星十字", "morning doji star"),
    "CDLMORNINGSTAR": ("晨星", "morning star"),
    "CDLONNECK": ("颈上线", "on neck"),
    "CDLPIERCING": ("穿刺线", "piercing"),
    "CDLRICKSHAWMAN": ("风高浪大线", "rickshaw man"),
    "CDLRISEFALL3METHODS": ("三法形态", "rising or falling three methods"),
    "CDLSEPARATINGLINES": ("分离线", "separating lines"),
    "CDLSHOOTINGSTAR": ("流星线", "shooting star"),
    "CDLSHORTLINE": ("短蜡烛", "short line"),
    "CDLSPINNINGTOP": ("纺锤线", "spinning top"),
    "CDLSTALLEDPATTERN": ("停顿形态", "stalled pattern"),
    "CDLSTICKSANDWICH": ("三明治", "stick sandwich"),
    "CDLTAKURI": ("探水竿", "takuri"),
    "CDLTASUKIGAP": ("跳空并列阴阳线", "tasuki gap"),
    "CDLTHRUSTING": ("刺透形态", "thrusting"),
    "CDLTRISTAR": ("三星形态", "tristar"),
    "CDLUNIQUE3RIVER": ("奇特三河", "unique three river"),
    "CDLUPSIDEGAP2CROWS": ("向上跳空两只乌鸦", "upside gap two crows"),
    "CDLXSIDEGAP3METHODS": ("跳空三法", "gap three methods"),
}
#: The shapes of several bars: the newest of each kind in the window.
SHAPES = {
    "头肩顶": "head and shoulders top",
    "头肩底": "head and shoulders bottom",
    "双顶": "double top",
    "双底": "double bottom",
    "上升三角形": "ascending triangle",
    "下降三角形": "descending triangle",
}
#: Every name in the list of patterns, with its English.
WORDS = dict(CANDLES.values()) | SHAPES | {"无形态": "no pattern"}


#: The one name that two candlestick functions share, and what the second of them is called where each has its own.
_DOJI_STAR = "星形十字"
_CANDLE_NAMES = tuple(name for name, _ in CANDLES.values())
_OWN_NAMES = tuple(_DOJI_STAR if function == "CDLDOJISTAR" else name for function, (name, _) in CANDLES.items())
#: Bars that price patterns are looked for in, bars on either side of their pivots, and how many bars ago the newest
#: pivot of a triangle may lie, and the break of the others.
_SHAPE_BARS, _SHAPE_HALF, _PIVOT_AGE, _BREAK_AGE = 60, 3, 20, 5


def candle_patterns_signed(bars: Panel) -> Values:
    """The strength has the signs of the patterns: up counts for, down against. Each candlestick has its own name.

    Price patterns are those of the newest 60 bars: two tops half an average true range apart or less, with a valley of
    two of them, or a head half of one above shoulders that are one apart or less, whose valleys the close broke within
    the newest 5 bars; two tops alike and rising lows as an ascending triangle; all of them also upside down.
    Source: TA-Lib; Edwards and Magee (1948), with the measures as a convention.
    """
    newest = candles.candlesticks(bars, tuple(CANDLES))
    bars.note(**dict(zip(CANDLES, newest, strict=True)))
    atr = true_range_from_mean(bars, 14, 1)[-1]
    high, low, close = (values[-_SHAPE_BARS:] for values in (bars.high, bars.low, bars.close))
    tops, bottoms = _shapes_of_tops(high, low, close, atr), _shapes_of_tops(-low, -high, -close, atr)
    shapes = [
        (tops[0], bottoms[0], -1.5, "头肩顶", "头肩底"),
        (tops[1], bottoms[1], -1.2, "双顶", "双底"),
        (tops[2], bottoms[2], 1.0, "上升三角形", "下降三角形"),
    ]
    candle_set = _candle_set(newest)
    strength, count = np.zeros(bars.series), np.bitwise_count(candle_set).astype(np.int64)
    for values in newest / 100:
        strength += values
    shape_set = np.zeros(bars.series, dtype=np.int64)
    for first, second, weight, *_ in shapes:
        shape_set = 3 * shape_set + np.select([first, second], [1, 2], 0)
        count = count + (first | second)
        strength = strength + np.select([first, second], [weight, -weight], 0.0)
    names = [("", *both) for _, _, _, *both in shapes]
    words = _named(candle_set, shape_set, _OWN_NAMES, names)
    return Values(words, count, strength, bars.quote_volume[-1], bars.close[-1])


def _shapes_of_tops(high: Floats, low: Floats, close: Floats, atr: Floats) -> tuple[Bools, Bools, Bools]:
    """Whether there are head and shoulders, a double top, an ascending triangle; (series,) each."""
    tops = pivots.newest_highs(high, _SHAPE_HALF, 3)
    last, middle, first = pivots.pick(high, tops)
    low_now, low_before = pivots.pick(low, pivots.newest_lows(low, _SHAPE_HALF, 2))
    rows = np.arange(len(high))[:, None]

    def valley(after: Ints, before: Ints) -> tuple[Ints, Floats]:
        between = np.where((rows > after) & (rows < before), low, np.inf)
        return between.argmin(axis=0), between.min(axis=0)

    def broken(level: Floats) -> Bools:
        return (close[-1] < level) & (close[-1 - _BREAK_AGE : -1].max(axis=0) >= level)

    (row, right), (row_before, left) = valley(tops[1], tops[0]), valley(tops[2], tops[1])
    alike = np.abs(last - middle) <= atr / 2
    neck = right + (right - left) / (row - row_before) * (len(high) - 1 - row)
    shoulders = (np.abs(last - first) <= atr) & (middle - np.maximum(last, first) >= atr / 2) & broken(neck)
    double = alike & (np.minimum(last, middle) - right >= 2 * atr) & broken(right)
    inside = (close[-1] > low_now) & (close[-1] <= np.maximum(last, middle)) & (tops[0] >= len(high) - _PIVOT_AGE)
    return shoulders, double, alike & (low_now - low_before >= atr / 2) & inside


def _candle_set(newest: Array) -> Array:
    """Which candlesticks a series has, as a number with a bit for each; (series,)."""
    bits = np.packbits(np.ascontiguousarray((newest != 0).T), axis=1, bitorder="little")
    numbers: Array = bits.view(np.uint64)[:, 0]
    return numbers


@indicator(
    id="candle_patterns",
    title="Candlestick and price patterns",
    family="pattern",
    inputs=("open", "high", "low", "close", "quote_volume"),
    columns=(
        text(
            "patterns",
            "names of the patterns, comma list: candles of the newest bar, then price patterns",
            WORDS,
            role=MARKS,
            listed=True,
            lasting=SHAPES,
        ),
        integer("count", "number of patterns", role=LINE.on_request),
        number("strength", "sum of the patterns' weights", unit="score", role=LINE.on_request),
        number("turnover", "turnover of the bar", unit="quote"),
        price("price", "close of the bar"),
    ),
    formula="61 candlestick functions of TA-Lib at the newest bar; the newest shape of each of three kinds",
    min_bars=10,
    variants={CORRECTED: candle_patterns_signed},
    minima={CORRECTED: candles.TAIL},
    variant_words={"patterns": {_DOJI_STAR: "doji star"}},
)
def candle_patterns(bars: Panel) -> Values:
    """All candlestick patterns of the newest bar, and the last three-bar shape of each kind in the window."""
    newest = candles.candlesticks(bars, tuple(CANDLES))
    bars.note(**dict(zip(CANDLES, newest, strict=True)))
    candle_set = _candle_set(newest)
    strength, count = np.zeros(bars.series), np.bitwise_count(candle_set).astype(np.int64)
    for values in np.abs(newest) / 100:
        strength += values
    # Which patterns a series has, as two numbers: a bit for each candle, a digit for each shape.
    shape_set = np.zeros(bars.series, dtype=np.int64)
    names = []
    for first, second, weight, *both in _shapes(bars):
        rows_first, rows_second = pivots.newest(first, 1)[0], pivots.newest(second, 1)[0]
        here = (rows_first >= 0) | (rows_second >= 0)
        # Where both hold at the same bar the second one counts.
        shape_set = 3 * shape_set + np.where(here, np.where(rows_second >= rows_first, 2, 1), 0)
        names.append(("", *both))
        count = count + here
        strength = strength + np.where(here, weight, 0.0)
    words = _named(candle_set, shape_set, _CANDLE_NAMES, names)
    return Values(words, count, strength, turnover(bars), bars.close[-1])


def _named(candle_set: Array, shape_set: Ints, candle_names: tuple[str, ...], shapes: Sequence[Sequence[str]]) -> Coded:
    """The names of each series' patterns as a comma list, written once for each set of patterns."""
    names = tuple(tuple(choices) for choices in shapes)
    sets = encoded(pa.array(candle_set))
    both = encoded(pa.array(sets.indices.to_numpy().astype(np.int64) * 3 ** len(shapes) + shape_set))
    candle_sets = sets.dictionary.to_pylist()
    pairs = [divmod(code, 3 ** len(shapes)) for code in both.dictionary.to_pylist()]
    words = [_listed(candle_sets[place], digits, candle_names, names) for place, digits in pairs]
    return Coded(both.indices.to_numpy().astype(np.int64), np.array(words, dtype=np.object_))


@lru_cache(maxsize=1 << 16)
def _listed(candle_set: int, shape_set: int, candle_names: tuple[str, ...], shapes: tuple[tuple[str, ...], ...]) -> str:
    """The names of one set of patterns as a comma list; neighbouring bars mostly have one that was seen before."""
    found = [name for place, name in enumerate(candle_names) if candle_set >> place & 1]
    for place, choices in enumerate(shapes):
        found.append(choices[shape_set // 3 ** (len(shapes) - 1 - place) % 3])
    return ",".join(filter(None, found)) or "无形态"


def _shapes(bars: Panel) -> list[tuple[Bools, Bools, float, str, str]]:
    """Bars at which each price pattern is seen: (first kind, its opposite, weight, names), masks of (rows, series).

    The first two need a bar on either side, so their rows are those of the third bar to the last but one; the rows of
    the third pattern end with the newest bar.
    """
    high, low = rolling.highest(bars.high, 3), rolling.lowest(bars.low, 3)
    high_before, low_before, close_before = bars.high[1:-1], bars.low[1:-1], bars.close[1:-1]
    rising = (high >= high_before) & (low <= low_before) & (bars.close[2:] > close_before)
    falling = (high <= high_before) & (low >= low_before) & (bars.close[2:] < close_before)
    high, low, high_before, low_before = high[:-1], low[:-1], high_before[:-1], low_before[:-1]
    high_after, low_after = bars.high[3:], bars.low[3:]
    dip = (bars.high[2:-1] < high_before) & (bars.high[2:-1] < high_after)
    bump = (bars.low[2:-1] > low_before) & (bars.low[2:-1] > low_after)
    narrow = (high_before - low_before <= 0.05 * (high_before + low_before) / 2) & (
        high_after - low_after <= 0.05 * (high_after + low_after) / 2
    )
    return [
        (
            (high > high_before) & (high > high_after) & dip,
            (low < low_before) & (low < low_after) & bump,
            1.5,
            "头肩顶",
            "头肩底",
        ),
        (
            (high >= high_before) & (high >= high_after) & dip & narrow,
            (low <= low_before) & (low <= low_after) & bump & narrow,
            1.2,
            "双顶",
            "双底",
        ),
        (rising, falling, 1.0, "上升三角形", "下降三角形"),
    ]
