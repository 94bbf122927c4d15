"""Every category text that readers compare with is produced here, or listed with the reason why it cannot be."""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pytest

from candlemill.indicators import evaluate
from candlemill.indicators.patterns import CANDLES
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.statements import statement
from tests import markets

#: Texts by (indicator, column), for the indicators computed in NumPy.
REACHABLE = {
    ("macd", "信号概述"): ["金叉/零轴上穿", "死叉/零轴下破", "延续"],
    ("kdj", "信号概述"): ["金叉", "死叉", "J>100 极值", "J<0 极值", "延续"],
    ("atr_bands", "波动分类"): ["升温", "降温", "稳定"],
    ("ema_gc", "趋势方向"): ["多头排列", "偏多", "空头排列", "偏空", "震荡"],
    ("scalping", "剥头皮信号"): ["超卖反弹", "超买回落", "多头", "空头", "观望"],
    ("trend_line_rank", "趋势方向"): ["多", "空", "震荡"],
    ("vpvr_profile", "价值区位置"): ["价值区上方", "价值区下方", "价值区内"],
    ("zero_lag_band_cross", "趋势方向"): ["多", "空"],
    ("smart_rsi", "信号"): ["买入", "卖出", "观望"],
    ("smart_rsi", "方向"): ["多头", "空头", "震荡"],
    ("smart_rsi", "位置"): ["超卖区", "超买区", "中性区", "中性"],
    ("smart_rsi", "背离"): ["none", "顶背离", "底背离", "无背离"],
    ("trend_cloud_reversal", "信号"): ["买入", "卖出", "观望", "数据不足"],
    ("trend_cloud_reversal", "方向"): ["多头", "空头", "震荡"],
    ("trend_cloud_reversal", "形态"): ["三线打击", "吞没形态", "无"],
    ("smart_money_structure", "信号"): ["买入", "卖出", "观望"],
    ("smart_money_structure", "方向"): ["多头", "空头"],
    ("smart_money_structure", "结构事件"): ["区间震荡", "多头突破", "空头突破", "结构反转向下", "结构反转向上"],
    ("smart_money_structure", "偏向"): ["多头", "空头"],
    ("smart_money_structure", "订单块"): ["多头订单块", "空头订单块", "无"],
    ("smart_money_structure", "缺口类型"): ["多头缺口", "空头缺口", "无"],
    ("smart_money_structure", "价格区域"): ["极端溢价", "溢价区", "极端折价", "折价区"],
    ("vwma_fib_bands", "信号"): ["买入", "卖出", "观望", "数据不足"],
    ("vwma_fib_bands", "方向"): ["多头", "空头"],
    ("vwma_fib_bands", "价格区域"): ["上通道(1.0)", "下通道(1.0)", "中间"],
    ("zero_lag_trend_state", "信号"): ["买入", "卖出", "观望", "数据不足"],
    ("zero_lag_trend_state", "方向"): ["多头", "空头", "震荡"],
    ("ema_ribbon", "信号"): ["买入", "卖出", "观望"],
    ("ema_ribbon", "方向"): ["多头", "空头"],
    ("smoothed_heikin_ashi", "信号"): ["买入", "卖出", "观望"],
    ("smoothed_heikin_ashi", "方向"): ["多头", "空头"],
    ("smoothed_heikin_ashi", "颜色"): ["绿色", "红色"],
    ("liquidity_score", "流动性等级"): ["优秀", "良好", "一般", "紧张", "危险"],
    ("supertrend", "方向"): ["多", "空"],
    ("ichimoku", "信号"): ["BUY", "SELL", "NEUTRAL"],
    ("ichimoku", "方向"): ["多", "空", "震荡"],
}

#: Texts of the contract that the formulas cannot reach, with the reason.
UNREACHABLE = {
    ("macd", "信号概述"): {
        "零轴上穿": "the histogram has the sign of DIF - DEA, so it crosses zero only with the lines",
        "零轴下破": "as 零轴上穿",
        "金叉": "never without /零轴上穿",
        "死叉": "never without /零轴下破",
    },
    ("atr_bands", "波动分类"): {"未知": "60 bars always have an average true range"},
    ("ema_gc", "趋势方向"): {"未知": "bars without a finite price are not used"},
    ("smart_rsi", "信号"): {
        "买入(参考值)": "needs fewer than 22 bars, values begin at 50",
        "卖出(参考值)": "as 买入(参考值)",
        "观望(参考值)": "as 买入(参考值)",
        "数据不足": "needs fewer than 15 bars, rows begin to have values at 50",
    },
    ("smart_rsi", "方向"): {"未知": "needs fewer than 15 bars"},
    ("smart_rsi", "位置"): {"未知": "needs fewer than 15 bars"},
    ("smart_rsi", "背离"): {"未知": "needs fewer than 15 bars", "数据不足": "needs fewer than 50 bars"},
    ("smart_money_structure", "价格区域"): {"均衡区": "a price is always above, below or at the middle first"},
    ("vwma_fib_bands", "价格区域"): {
        "上通道(0.236) to 上通道(0.764), 下通道(0.236) to 下通道(0.764)": "the widest band is looked at first"
    },
    ("liquidity_score", "流动性等级"): {"未知": "the score of finite bars is finite"},
    ("ichimoku", "信号"): {"数据不足": "needs fewer than 26 bars, rows begin to have values at 60"},
    ("candle_patterns", "形态类型"): {
        "上升楔形, 下降楔形, 上升通道, 下降通道, 水平通道, 对称三角形": "the labels looked for are never given"
    },
}

SHAPES = ["头肩顶", "头肩底", "双顶", "双底", "上升三角形", "下降三角形"]


@cache
def _produced() -> dict[tuple[str, str], set[str]]:
    """All texts that the panels above give, by indicator and column."""
    produced: dict[tuple[str, str], set[str]] = {}
    everything = [markets.walks(0, 3000), markets.walks(1, 3000), markets.steps(), markets.liquid()]
    candles = [*(markets.candles(seed, 50_000) for seed in range(4)), markets.mat_hold(), markets.plain_fall()]
    for declared in INDICATORS.values():
        if declared.compute is None or declared.source != "candles":
            continue
        labels = [column.label for column in declared.columns if column.kind == "text"]
        panels = everything if labels else []
        for panel in [*panels, *(candles if declared.id == "candle_patterns" else [])]:
            for cells in evaluate.finish(declared, panel, evaluate.compute(declared, panel)):
                if cells.column.label in labels:
                    found = produced.setdefault((declared.id, cells.column.label), set())
                    found.update(cells.values[~cells.null].tolist())
    return produced


@pytest.mark.parametrize(("indicator", "label"), REACHABLE)
def test_every_text_of_a_column_is_produced_and_no_other(indicator: str, label: str) -> None:
    assert _produced()[indicator, label] == set(REACHABLE[indicator, label])


def test_every_pattern_name_is_produced_and_no_other() -> None:
    names = {name for texts in _produced()["candle_patterns", "形态类型"] for name in texts.split(",")}
    assert names == {*CANDLES.values(), *SHAPES, "无形态"}


def test_every_text_column_is_listed() -> None:
    text_columns = {
        (declared.id, column.label)
        for declared in INDICATORS.values()
        for column in declared.columns
        if column.kind == "text" and declared.compute is not None
    }
    free = {("vpvr_profile", "高成交节点"), ("vpvr_profile", "低成交节点"), ("candle_patterns", "形态类型")}
    assert text_columns - free == set(REACHABLE)


def test_nothing_is_both_reachable_and_not() -> None:
    for column, texts in UNREACHABLE.items():
        assert not set(texts) & set(REACHABLE.get(column, ()))


@pytest.mark.parametrize(
    ("volume", "signal"), [(200.0, "极值放量"), (3.0, "异常放量"), (1.2, "放量"), (1.0, "正常"), (0.5, "缩量")]
)
def test_volume_ratio_classes(volume: float, signal: str) -> None:
    bars = pa.table(
        {
            "series": [0] * 20,
            "rn": list(range(1, 21)),
            "n": [400] * 20,
            "volume": [volume] + [1.0] * 19,
            "quote_volume": [1.0] * 20,
            "close": [1.0] * 20,
        }
    )
    with open_duckdb() as door:
        door.register("bars", bars)
        found = door.execute(f"SELECT signal FROM ({statement('indicators/volume_ratio')})").fetchall()
    assert found == [(signal,)]
