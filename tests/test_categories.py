"""Every word that readers compare with is produced here; texts that cannot be are listed with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from candlemill.indicators import evaluate
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.base.statements import statement
from candlemill.pipeline.compute.pivot import Pivot
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import markets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from candlemill.indicators.contract import Column, Indicator, Panel, Values

#: Texts of the contract that the formulas cannot reach, with the reason.
UNREACHABLE = {
    ("macd", "signal"): {
        "零轴上穿": "the histogram has the sign of DIF - DEA, so it crosses zero only with the lines",
        "零轴下破": "as 零轴上穿",
        "金叉": "never without /零轴上穿",
        "死叉": "never without /零轴下破",
    },
    ("atr_bands", "regime"): {"未知": "60 bars always have an average true range"},
    ("ema_gc", "trend"): {"未知": "bars without a finite price are not used"},
    ("smart_rsi", "signal"): {
        "买入(参考值)": "needs fewer than 22 bars, values begin at 50",
        "卖出(参考值)": "as 买入(参考值)",
        "观望(参考值)": "as 买入(参考值)",
        "数据不足": "needs fewer than 15 bars, rows begin to have values at 50",
    },
    ("smart_rsi", "direction"): {"未知": "needs fewer than 15 bars"},
    ("smart_rsi", "zone"): {"未知": "needs fewer than 15 bars"},
    ("smart_rsi", "divergence"): {"未知": "needs fewer than 15 bars", "数据不足": "needs fewer than 50 bars"},
    ("smart_money_structure", "zone"): {"均衡区": "a price is always above, below or at the middle first"},
    ("vwma_fib_bands", "zone"): {
        "上通道(0.236) to 上通道(0.764), 下通道(0.236) to 下通道(0.764)": "the widest band is looked at first"
    },
    ("liquidity_score", "grade"): {"未知": "the score of finite bars is finite"},
    ("ichimoku", "signal"): {"数据不足": "needs fewer than 26 bars, rows begin to have values at 60"},
    ("candle_patterns", "patterns"): {
        "上升楔形, 下降楔形, 上升通道, 下降通道, 水平通道, 对称三角形": "the labels looked for are never given"
    },
}

COLUMNS = [
    (declared, column)
    for declared in INDICATORS.values()
    for column in declared.columns
    if column.words and declared.source == "candles"
]


@cache
def _walks() -> list[Panel]:
    return [markets.walks(0, 3000), markets.walks(1, 3000)]


def _markets(declared: Indicator) -> Iterator[Panel]:
    """Panels that together meet every branch of an indicator, with nothing computed in them yet."""
    for panel in _walks():
        # What is computed once for all indicators takes a hundred MB: it goes with the panel.
        yield replace(panel, _shared={}, _expected={})
    yield markets.steps()
    yield markets.liquid()
    if any(column.listed for column in declared.columns):
        for seed in range(4):
            yield markets.candles(seed, 50_000)
        yield markets.mat_hold()
        yield markets.plain_fall()


def _values(declared: Indicator, panel: Panel) -> Values:
    if declared.compute:
        return evaluate.compute(declared, panel)
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        sql.load("candles", [Pivot(panel, markets.ranked(panel, declared.bars_read()), Counter())])
        return sql.compute(declared, panel)


@cache
def _produced(declared: Indicator) -> dict[str, set[str]]:
    """All texts that the markets give, by column."""
    produced: dict[str, set[str]] = {}
    for panel in _markets(declared):
        for cells in evaluate.finish(declared, panel, _values(declared, panel)):
            if cells.column.words:
                produced.setdefault(cells.column.name, set()).update(cells.values[~cells.null].tolist())
    return produced


@pytest.mark.parametrize(
    ("declared", "column"), COLUMNS, ids=[f"{declared.id}-{column.name}" for declared, column in COLUMNS]
)
def test_every_word_of_a_column_is_produced_and_no_other(declared: Indicator, column: Column) -> None:
    texts = _produced(declared)[column.name]
    found = {word for text in texts for word in text.split(",")} if column.listed else texts
    assert found == set(column.words)


def test_the_texts_that_no_formula_reaches_are_no_words() -> None:
    for (id_, name), texts in UNREACHABLE.items():
        [column] = [column for column in INDICATORS[id_].columns if column.name == name]
        assert not set(texts) & set(column.words)


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
    with open_duckdb() as connection:
        connection.register("bars", bars)
        found = connection.execute(
            f"SELECT signal FROM ({statement('indicators/volume_ratio')})", {"period": 20}
        ).fetchall()
    assert found == [(signal,)]
