"""Data quality: how much of a series is there."""

from __future__ import annotations

from .contract import Indicator, integer, moment
from .futures import ROWS

data_monitor = Indicator(
    id="data_monitor",
    title="Data monitor",
    family="quality",
    inputs=(),
    columns=(
        integer("bars_loaded", "bars of the series in this pass"),
        moment("newest_bar", "start of the newest bar"),
        integer("bars_expected", "bars in a week, for 1m only"),
        integer("bars_missing", "bars short of a week, for 1m only"),
    ),
    formula="bars loaded; at 1m also how many are missing to a week of 10080",
    min_bars=1,
)

futures_gap_monitor = Indicator(
    id="futures_gap_monitor",
    title="Futures gap monitor",
    family="quality",
    inputs=(),
    columns=(
        integer("rows_loaded", "metrics rows of the symbol, at most 240"),
        moment("newest_row", "time of the newest row"),
        integer("rows_missing", "rows that the gaps between them lack"),
        moment("first_gap_start", "first missing row of the first gap"),
        moment("first_gap_end", "last missing row of the first gap"),
    ),
    formula="steps of more than 5 minutes between the newest 240 metrics rows within 30 days",
    min_bars=1,
    source="metrics",
    intervals=("5m",),
    window=ROWS,
)
