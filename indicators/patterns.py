"""Patterns: candlesticks through TA-Lib, and shapes of three bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from .contract import Coded, Panel, Values, indicator, integer, number, price, text
from .kernels import candles, pivots, rolling
from .kernels.bars import turnover
from .roles import LINE, MARKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contract import Array, Bools, Ints

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
)
def candle_patterns(bars: Panel) -> Values:
    """All candlestick patterns of the newest bar, and the last three-bar shape of each kind in the window."""
    newest = candles.candlesticks(bars, tuple(CANDLES))
    seen = newest != 0
    strength = np.zeros(bars.series)
    for values in np.abs(newest) / 100:
        strength += values
    count = seen.sum(axis=0)
    # Which patterns a series has, as two numbers: a bit for each candle, a digit for each shape.
    bits = np.packbits(seen, axis=0, bitorder="little")
    candle_set = np.ascontiguousarray(bits.T).view(np.uint64)[:, 0]
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
    return Values(_named(candle_set, shape_set, names), count, strength, turnover(bars), bars.close[-1])


def _named(candle_set: Array, shape_set: Ints, shapes: Sequence[Sequence[str]]) -> Coded:
    """The names of each series' patterns as a comma list, written once for each set of patterns."""
    sets = pa.array(candle_set).dictionary_encode()
    both = pa.array(sets.indices.to_numpy().astype(np.int64) * 3 ** len(shapes) + shape_set).dictionary_encode()
    candle_sets, candle_names = sets.dictionary.to_pylist(), [name for name, _ in CANDLES.values()]
    words = []
    for code in both.dictionary.to_pylist():
        place, digits = divmod(code, 3 ** len(shapes))
        left, found = candle_sets[place], []
        while left:
            # The lowest bit that is set, and off it goes.
            found.append(candle_names[(left & -left).bit_length() - 1])
            left &= left - 1
        for place, choices in enumerate(shapes):
            found.append(choices[digits // 3 ** (len(shapes) - 1 - place) % 3])
        words.append(",".join(filter(None, found)) or "无形态")
    return Coded(both.indices.to_numpy().astype(np.int64), np.array(words, dtype=np.object_))


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
