"""Every indicator against its definition, over random markets and over some that are full of equal values."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from candlemill.indicators import evaluate
from candlemill.indicators.contract import BAR_FIELDS, METRIC_FIELDS
from candlemill.indicators.profiles import CORRECTED, PARITY
from candlemill.indicators.registry import INDICATORS
from candlemill.indicators.service import SERVICE
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import Pivot
from candlemill.pipeline.compute.sql import SqlIndicators
from tests import corrected, markets, panels
from tests.definitions import DEFINITIONS, OF_METRICS, UNDECIDED, Bars, Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from candlemill.indicators.contract import Indicator, Panel, Values


@cache
def of_bars(id_: str) -> tuple[Panel, ...]:
    """Markets of many kinds; of what is rare more where a definition is quick."""
    steps = markets.steps()
    some = range(0, steps.series, 2 if id_ == "scalping" else 40)
    return (
        markets.walks(11, 150), markets.ticks(12, 150), markets.turns(13, 60), steps.select(some), markets.liquid()
    )  # fmt: skip


@cache
def of_metrics() -> tuple[Panel, ...]:
    periods = {"5m": 300, "15m": 900, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800, "2h": 600}
    return tuple(markets.metrics(seed, 40, *period) for seed, period in enumerate(periods.items()))


def computed(declared: Indicator, panel: Panel, profile: str = PARITY) -> Values:
    if declared.function(profile):
        return evaluate.compute(declared, panel, profile=profile)
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        newest = declared.bars_read(profile=profile)
        sql.load(declared.source, [Pivot(panel, markets.ranked(panel, newest), Counter())], newest=newest)
        return sql.compute(declared, panel, profile=profile)


def bars_of(panel: Panel, column: int) -> Bars:
    begin = int(panel.first[column])
    fields = [np.array(panel.fields[name][begin:, column]).tolist() for name in BAR_FIELDS]
    return Bars(panel.intervals[column], panel.time[begin:, column].tolist(), *fields)


def metrics_of(panel: Panel, column: int) -> Metrics:
    begin = int(panel.first[column])
    fields = [np.array(panel.fields[name][begin:, column]).tolist() for name in METRIC_FIELDS]
    market = float(panel.totals["open_interest_value"][column])
    as_of = int(np.broadcast_to(panel.as_of, panel.series)[column])
    return Metrics(panel.intervals[column], as_of, market, panel.time[begin:, column].tolist(), *fields)


def alike(found: object, wanted: object) -> bool:
    if isinstance(wanted, float) and isinstance(found, int | float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-10)
    return wanted is UNDECIDED or found == wanted


def differences(
    declared: Indicator, panel: Panel, wanted: Callable[[int], list[object]], profile: str = PARITY
) -> list[tuple[object, ...]]:
    """What differs: symbol, rows, column, value and what the definition says. Series that are too short are NULL."""
    cells = evaluate.finish(declared, panel, computed(declared, panel, profile), profile=profile)
    enough = evaluate.enough_bars(declared, panel, profile=profile).tolist()
    wrong: list[tuple[object, ...]] = []
    for column, (symbol, rows) in enumerate(zip(panel.symbols, panel.lengths.tolist(), strict=True)):
        values = wanted(column) if enough[column] else [math.nan] * len(cells)
        for cell, value in zip(cells, values, strict=True):
            found = None if cell.null[column] else cell.values[column]
            want = None if isinstance(value, float) and not math.isfinite(value) else value
            if profile == PARITY and want is None and cell.column.name in declared.stored.short:
                continue
            if not alike(found, want):
                wrong.append((symbol, rows, cell.column.name, found, want))
    return wrong


@pytest.mark.parametrize("id_", DEFINITIONS)
def test_an_indicator_is_what_its_definition_says(id_: str) -> None:
    for panel in of_bars(id_):
        wanted = lambda column, panel=panel: DEFINITIONS[id_](bars_of(panel, column))  # noqa: E731
        assert differences(INDICATORS[id_], panel, wanted) == []


@pytest.mark.parametrize("id_", DEFINITIONS)
def test_it_is_from_the_bars_on_that_the_formula_needs(id_: str) -> None:
    new = replace(INDICATORS[id_], stored=None)  # type: ignore[arg-type]
    needed = new.bars_needed()
    few = [panels.walk(f"S{bars}", bars, bars) for bars in range(max(needed - 1, 1), needed + 12)]
    panel = panels.panel_of(few)
    assert differences(new, panel, lambda column: DEFINITIONS[id_](bars_of(panel, column))) == []
    # Nor are longer series in the way of short ones.
    panel = panels.panel_of([*few, panels.walk("LONG", 450, 99)])
    assert differences(new, panel, lambda column: DEFINITIONS[id_](bars_of(panel, column))) == []


@pytest.mark.parametrize("id_", corrected.DEFINITIONS)
def test_a_corrected_indicator_is_what_its_definition_says(id_: str) -> None:
    for panel in of_bars(id_):
        wanted = lambda column, panel=panel: corrected.DEFINITIONS[id_](bars_of(panel, column))  # noqa: E731
        assert differences(INDICATORS[id_], panel, wanted, CORRECTED) == []


@pytest.mark.parametrize("id_", corrected.DEFINITIONS)
def test_corrected_values_begin_with_the_bars_that_the_formula_needs(id_: str) -> None:
    needed = INDICATORS[id_].bars_needed(profile=CORRECTED)
    few = [panels.walk(f"S{bars}", bars, bars) for bars in range(max(needed - 1, 1), needed + 12)]
    for series in (few, [*few, panels.walk("LONG", 450, 99)]):
        panel = panels.panel_of(series)
        wanted = lambda column, panel=panel: corrected.DEFINITIONS[id_](bars_of(panel, column))  # noqa: E731
        assert differences(INDICATORS[id_], panel, wanted, CORRECTED) == []


@pytest.mark.parametrize("id_", corrected.OF_METRICS)
def test_a_corrected_indicator_of_metrics_is_what_its_definition_says(id_: str) -> None:
    for panel in of_metrics():
        wanted = lambda column, panel=panel: corrected.OF_METRICS[id_](metrics_of(panel, column))  # noqa: E731
        assert differences(INDICATORS[id_], panel, wanted, CORRECTED) == []


@pytest.mark.parametrize("id_", OF_METRICS)
def test_an_indicator_of_metrics_is_what_its_definition_says(id_: str) -> None:
    for panel in of_metrics():
        wanted = lambda column, panel=panel: OF_METRICS[id_](metrics_of(panel, column))  # noqa: E731
        assert differences(INDICATORS[id_], panel, wanted) == []


def test_every_indicator_has_a_definition() -> None:
    # Of the patterns TA-Lib has the definition of most, and a test of its own the others.
    assert {*DEFINITIONS, *OF_METRICS, "candle_patterns"} == set(SERVICE)
