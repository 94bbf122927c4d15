"""Every indicator against its definition, over random markets and over some where prices and volumes are often equal."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from candlemill.indicators import evaluate
from candlemill.indicators.contract import BAR_FIELDS
from candlemill.indicators.registry import INDICATORS
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import Pivot
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import markets
from tests.definitions import DEFINITIONS, UNDECIDED, Bars

if TYPE_CHECKING:
    from candlemill.indicators.contract import Indicator, Panel, Values


@cache
def panels() -> tuple[Panel, ...]:
    return (markets.walks(11, 150), markets.ticks(12, 150), markets.liquid())


def computed(declared: Indicator, panel: Panel) -> Values:
    if declared.compute:
        return evaluate.compute(declared, panel)
    with open_duckdb() as door:
        sql = SqlIndicators(door)
        sql.load(Pivot(panel, markets.ranked(panel, declared.bars_read()), Counter()), declared.bars_read())
        return sql.compute(declared, panel)


def series_of(panel: Panel, column: int) -> Bars:
    begin = int(panel.first[column])
    fields = [np.array(panel.fields[name][begin:, column]).tolist() for name in BAR_FIELDS]
    return Bars(panel.intervals[column], panel.time[begin:, column].tolist(), *fields)


def alike(found: object, wanted: object) -> bool:
    if isinstance(wanted, float) and isinstance(found, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-10)
    return wanted is UNDECIDED or found == wanted


@pytest.mark.parametrize("id_", DEFINITIONS)
def test_an_indicator_is_what_its_definition_says(id_: str) -> None:
    declared, wrong, compared = INDICATORS[id_], [], 0
    for panel in panels():
        cells = evaluate.finish(declared, panel, computed(declared, panel))
        for column in range(panel.series):
            bars = series_of(panel, column)
            if len(bars) < declared.stored.bars_needed(bars.interval):
                assert all(cell.null[column] for cell in cells if cell.column.name not in declared.stored.short)
                continue
            wanted = DEFINITIONS[id_](bars)
            compared += 1
            for cell, value in zip(cells, wanted, strict=True):
                found = None if cell.null[column] else cell.values[column]
                want = None if isinstance(value, float) and not math.isfinite(value) else value
                if not alike(found, want) and (want is not None or cell.column.name not in declared.stored.short):
                    wrong.append((panel.symbols[column], len(bars), cell.column.name, found, want))
    assert wrong == []
    assert compared > 150
