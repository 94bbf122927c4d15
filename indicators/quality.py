"""Data quality: how much of a series is there."""

from __future__ import annotations

from .contract import Indicator, integer, moment

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

futures_gap_monitor = Indicator(
    id="futures_gap_monitor",
    table="期货情绪缺口监控.py",
    title="Futures gap monitor",
    family="quality",
    mode="batch",
    lookback=1,
    min_bars=1,
    inputs=(),
    columns=(
        integer("已加载根数", "rows_loaded", "metrics rows of the symbol, at most 240"),
        moment("最新时间", "newest_row", "time of the newest row"),
        integer("缺失根数", "rows_missing", "rows that the gaps between them lack"),
        moment("首缺口起", "first_gap_start", "first missing row of the first gap"),
        moment("首缺口止", "first_gap_end", "last missing row of the first gap"),
    ),
    formula="steps of more than 5 minutes between the newest 240 metrics rows within 30 days",
    source="metrics",
    intervals=("5m",),
)
