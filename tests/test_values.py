"""The values of the golden cases, computed in this process: every indicator, without a server and a command line."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from candlemill.indicators.fields import METRICS_ROWS
from candlemill.indicators.registry import INDICATORS
from candlemill.indicators.service import SERVICE
from candlemill.pipeline.base.duck import open_duckdb
from candlemill.pipeline.compute.pivot import pivot_bars, pivot_metrics
from candlemill.pipeline.compute.rows import computed
from candlemill.pipeline.compute.sql import SqlIndicators
from candlemill.pipeline.results.rows import Batches
from tests import goldens
from tests.goldens import KEY
from tests.observing import Heard

if TYPE_CHECKING:
    from pathlib import Path

    from candlemill.indicators.contract import Indicator


def rows_of(case: Path) -> dict[Indicator, pa.Table]:
    """Finished rows of all indicators over a case."""
    asked = goldens.description(case)
    as_of = datetime.fromisoformat(asked["as_of"])
    found: dict[Indicator, list[pa.Table]] = defaultdict(list)
    heard = Heard()
    with open_duckdb() as connection:
        sql = SqlIndicators(connection)
        for interval in asked["intervals"]:
            bars = pivot_bars(goldens.candles(case, interval), interval, as_of, asked["lookback"])
            sql.load("candles", [bars])
            metrics, given = None, goldens.metrics(case, interval)
            if given is not None:
                metrics = pivot_metrics(given, interval, as_of, METRICS_ROWS, bars.panel.symbols)
                sql.load("metrics", [metrics])
            second = metrics.panel if metrics else None
            for declared, rows in computed(list(INDICATORS.values()), bars.panel, second, sql, observer=heard):
                found[declared].append(rows)
    assert heard.errors == []
    return {declared: pa.concat_tables(parts) for declared, parts in found.items()}


@pytest.mark.parametrize("case", goldens.cases(), ids=lambda case: case.name)
def test_the_values_of_a_case(case: Path) -> None:
    found: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {
        declared.table: {tuple(row[k] for k in KEY): row for row in batch.table.to_pylist()}
        for declared, batch in Batches().of(rows_of(case).items()).items()
    }
    verdict = goldens.compare(case, found, {line.table for line in SERVICE.values()})
    assert verdict.wrong == []
    assert verdict.flips <= verdict.values / 1000
    assert verdict.values > 500
