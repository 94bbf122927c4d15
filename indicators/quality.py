"""Data quality: how much of a series is there."""

from __future__ import annotations

from indicators.contract import Indicator, integer, moment

data_monitor = Indicator(
    id="data_monitor",
    table="数据监控.py",
    title="Data monitor",
    family="quality",
    mode="batch",
    lookback=1,
    min_bars=1,
    inputs=(),
    columns=(
        integer("已加载根数", "bars_loaded", "bars of the series in this pass"),
        moment("最新时间", "newest_bar", "start of the newest bar"),
        integer("本周应有根数", "bars_expected", "bars in a week, for 1m only"),
        integer("缺口", "bars_missing", "bars short of a week, for 1m only"),
    ),
    formula="bars loaded; at 1m also how many are missing to a week of 10080",
)
