"""Patterns: candlesticks through TA-Lib, and shapes of three bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import talib

from .contract import Panel, Values, indicator, integer, number, price, text
from .kernels import pivots, rolling
from .kernels.bars import turnover

if TYPE_CHECKING:
    from .contract import Array, Bools, Floats

#: Readers' names of the candlestick functions, in the order of their group in TA-Lib, which is that of their names.
CANDLES = {
    "CDL2CROWS": "两只乌鸦",
    "CDL3BLACKCROWS": "三乌鸦",
    "CDL3INSIDE": "内侧三烛线",
    "CDL3LINESTRIKE": "三线打击",
    "CDL3OUTSIDE": "外侧三烛线",
    "CDL3STARSINSOUTH": "南方三星",
    "CDL3WHITESOLDIERS": "三白兵",
    "CDLABANDONEDBABY": "弃婴",
    "CDLADVANCEBLOCK": "推进受阻",
    "CDLBELTHOLD": "捉腰带线",
    "CDLBREAKAWAY": "脱离形态",
    "CDLCLOSINGMARUBOZU": "收盘光头光脚",
    "CDLCONCEALBABYSWALL": "藏婴吞没",
    "CDLCOUNTERATTACK": "反击线",
    "CDLDARKCLOUDCOVER": "乌云盖顶",
    "CDLDOJI": "十字星",
    "CDLDOJISTAR": "十字星",
    "CDLDRAGONFLYDOJI": "蜻蜓十字",
    "CDLENGULFING": "吞没形态",
    "CDLEVENINGDOJISTAR": "暮星十字",
    "CDLEVENINGSTAR": "暮星",
    "CDLGAPSIDESIDEWHITE": "并列阴阳线",
    "CDLGRAVESTONEDOJI": "墓碑十字",
    "CDLHAMMER": "锤子线",
    "CDLHANGINGMAN": "上吊线",
    "CDLHARAMI": "孕线",
    "CDLHARAMICROSS": "十字孕线",
    "CDLHIGHWAVE": "高浪线",
    "CDLHIKKAKE": "陷阱形态",
    "CDLHIKKAKEMOD": "改良陷阱形态",
    "CDLHOMINGPIGEON": "家鸽形态",
    "CDLIDENTICAL3CROWS": "三胞胎乌鸦",
    "CDLINNECK": "颈内线",
    "CDLINVERTEDHAMMER": "倒锤子",
    "CDLKICKING": "踢线",
    "CDLKICKINGBYLENGTH": "长腿踢线",
    "CDLLADDERBOTTOM": "梯底",
    "CDLLONGLEGGEDDOJI": "长腿十字",
    "CDLLONGLINE": "长蜡烛",
    "CDLMARUBOZU": "光头光脚",
    "CDLMATCHINGLOW": "匹配低价",
    "CDLMATHOLD": "接力形态",
    "CDLMORNINGDOJISTAR": "晨星十字",
    "CDLMORNINGSTAR": "晨星",
    "CDLONNECK": "颈上线",
    "CDLPIERCING": "穿刺线",
    "CDLRICKSHAWMAN": "风高浪大线",
    "CDLRISEFALL3METHODS": "三法形态",
    "CDLSEPARATINGLINES": "分离线",
    "CDLSHOOTINGSTAR": "流星线",
    "CDLSHORTLINE": "短蜡烛",
    "CDLSPINNINGTOP": "纺锤线",
    "CDLSTALLEDPATTERN": "停顿形态",
    "CDLSTICKSANDWICH": "三明治",
    "CDLTAKURI": "探水竿",
    "CDLTASUKIGAP": "跳空并列阴阳线",
    "CDLTHRUSTING": "刺透形态",
    "CDLTRISTAR": "三星形态",
    "CDLUNIQUE3RIVER": "奇特三河",
    "CDLUPSIDEGAP2CROWS": "向上跳空两只乌鸦",
    "CDLXSIDEGAP3METHODS": "跳空三法",
}
#: Bars of each series that the candlestick functions see: the longest of them looks back over 14, and two of them
#: confirm a pattern over 3 more. A test shows that this many give the value of the whole series.
TAIL = 18
_QUIET = 15


@indicator(
    id="candle_patterns",
    table="K线形态扫描器.py",
    title="Candlestick and price patterns",
    family="pattern",
    mode="batch",
    lookback=50,
    min_bars=10,
    inputs=("open", "high", "low", "close", "quote_volume"),
    columns=(
        text(
            "形态类型", "patterns", "names of the patterns, comma list: candles of the newest bar, then price patterns"
        ),
        integer("检测数量", "count", "number of patterns"),
        number("强度", "strength", "sum of the patterns' weights", unit="score", decimals=2),
        number("成交额（USDT）", "turnover", "turnover of the bar", unit="quote"),
        price("当前价格", "price", "close of the bar"),
    ),
    formula="61 candlestick functions of TA-Lib at the newest bar; the newest shape of each of three kinds",
)
def candle_patterns(bars: Panel) -> Values:
    """All candlestick patterns of the newest bar, and the last three-bar shape of each kind in the window."""
    names = np.full(bars.series, "", dtype=np.object_)
    count = np.zeros(bars.series, dtype=np.int64)
    strength = np.zeros(bars.series)

    def add(here: Bools, name: Array | str, weight: Floats | float) -> None:
        found = np.flatnonzero(here)
        separator = np.where(count[found] == 0, "", ",").astype(np.object_)
        names[found] += separator + (name if isinstance(name, str) else name[found])
        count[found] += 1
        strength[found] += weight if isinstance(weight, float) else weight[found]

    candles = _candles(bars)
    for name, values in zip(CANDLES.values(), candles, strict=True):
        add(values != 0, name, np.abs(values) / 100)
    for first, second, weight, first_name, second_name in _shapes(bars):
        rows_first, rows_second = pivots.newest(first, 1)[0], pivots.newest(second, 1)[0]
        # Where both hold at the same bar the second one counts.
        latest = np.where(rows_second >= rows_first, second_name, first_name).astype(np.object_)
        add((rows_first >= 0) | (rows_second >= 0), latest, weight)
    return Values(np.where(count == 0, "无形态", names), count, strength, turnover(bars), bars.close[-1])


def _candles(bars: Panel) -> Array:
    """Values of the candlestick functions at the newest bar, shape (functions, series).

    The tails of all series stand in one array, one behind the other. TA-Lib keeps running sums over it, and what one
    series leaves in such a sum (a rounding error, but of another series' size) could decide a tie in the next one. So
    each tail is brought below 1 by a power of two, which changes no comparison, and comes after one bar that is so
    large that adding and removing it wipes the sums, and enough bars of nothing to fill every window.
    """
    whole = bars.lengths >= TAIL
    largest = np.max([bars.open[-TAIL:], bars.high[-TAIL:], bars.low[-TAIL:], bars.close[-TAIL:]], axis=(0, 1))
    size = np.frexp(np.where(whole, largest, 1.0))[1]

    def blocks(values: Floats, wipe: float) -> Floats:
        block = np.zeros((1 + _QUIET + TAIL, bars.series))
        block[0] = wipe
        block[-TAIL:] = np.ldexp(np.where(whole, values[-TAIL:], 0.0), -size)
        return np.ascontiguousarray(block.T).ravel()

    large = 2.0**70
    prices = (
        blocks(bars.open, 0.0),
        blocks(bars.high, 2 * large),
        blocks(bars.low, -large),
        blocks(bars.close, large),
    )
    length = 1 + _QUIET + TAIL
    newest = [getattr(talib, name)(*prices)[length - 1 :: length] for name in CANDLES]
    return np.where(whole, np.stack(newest), 0)


def _shapes(bars: Panel) -> list[tuple[Bools, Bools, float, str, str]]:
    """Bars at which each price pattern is seen: (first kind, its opposite, weight, names), masks of (bars, series)."""
    rows = bars.close.shape
    high, low = np.full(rows, np.nan), np.full(rows, np.nan)
    if bars.rows >= 3:
        high[2:], low[2:] = rolling.highest(bars.high, 3), rolling.lowest(bars.low, 3)
    before = [np.full(rows, np.nan) for _ in range(3)]
    after = [np.full(rows, np.nan) for _ in range(2)]
    for shifted, values in zip(before, (bars.high, bars.low, bars.close), strict=True):
        shifted[1:] = values[:-1]
    for shifted, values in zip(after, (bars.high, bars.low), strict=True):
        shifted[:-1] = values[1:]
    (high_before, low_before, close_before), (high_after, low_after) = before, after
    dip = (bars.high < high_before) & (bars.high < high_after)
    bump = (bars.low > low_before) & (bars.low > low_after)
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
        (
            (high >= high_before) & (low <= low_before) & (bars.close > close_before),
            (high <= high_before) & (low >= low_before) & (bars.close < close_before),
            1.0,
            "上升三角形",
            "下降三角形",
        ),
    ]
