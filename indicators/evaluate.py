"""From an indicator and a panel to finished rows: the rules that hold for every indicator, applied once.

Which series have enough bars, what a row without values looks like, and that NaN and infinity are NULL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .contract import NO_MOMENT, NO_TEXT, Values

if TYPE_CHECKING:
    from .contract import Array, Bools, Column, Indicator, Panel

_DTYPES = {"real": np.float64, "integer": np.int64, "time": np.int64, "text": np.object_}


@dataclass(frozen=True)
class Cells:
    """One column of finished rows: values of shape (series,) and where they are NULL."""

    column: Column
    values: Array
    null: Bools


def compute(indicator: Indicator, panel: Panel) -> Values:
    """Values of a NumPy indicator over a panel; no series long enough: none. Division by zero gives NaN, not noise."""
    if indicator.compute is None:
        raise ValueError(f"indicator {indicator.id} is written in SQL")
    if panel.series == 0 or panel.lengths[0] < indicator.bars_needed(panel.interval):
        return nothing(indicator, panel)
    with np.errstate(all="ignore"):
        return indicator.compute(panel)


def nothing(indicator: Indicator, panel: Panel) -> Values:
    """Values of an indicator that has none for any series: NULL in every column."""
    empty = {"real": np.nan, "integer": np.nan, "text": None, "time": NO_MOMENT}
    columns = [np.full(panel.series, empty[column.kind]) for column in indicator.columns]
    return Values(*columns)


def finish(indicator: Indicator, panel: Panel, values: Values) -> list[Cells]:
    """Cells of all columns for all series of the panel.

    A series with fewer bars than the indicator needs, or that the indicator left undefined, has NULL in every column;
    from half the lookback on, the declared texts of a short row. Raises ValueError if the indicator returned another
    number of columns, or another shape, than it declares.
    """
    if len(values.columns) != len(indicator.columns):
        raise ValueError(
            f"{indicator.id} returned {len(values.columns)} columns, declared are {len(indicator.columns)}"
        )
    defined = panel.lengths >= indicator.bars_needed(panel.interval)
    if values.defined is not None:
        defined = defined & values.defined
    short = ~defined & (panel.lengths >= indicator.lookback // 2)
    cells = []
    for column, raw in zip(indicator.columns, values.columns, strict=True):
        if raw.shape != (panel.series,):
            raise ValueError(f"{indicator.id}.{column.name} has shape {raw.shape}, want ({panel.series},)")
        null = ~defined
        if raw.dtype.kind == "f":
            null = null | ~np.isfinite(raw)
        elif column.kind == "time":
            null = null | (raw == NO_MOMENT)
        elif raw.dtype.kind == "O":
            null = null | (raw == NO_TEXT)
        empty = NO_TEXT if column.kind == "text" else np.array(0)
        finished: Array = np.where(null, empty, raw).astype(_DTYPES[column.kind])
        if column.label in indicator.short:
            finished[short] = indicator.short[column.label]
            null = null & ~short
        cells.append(Cells(column, finished, null))
    return cells
