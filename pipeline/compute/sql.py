"""SQL indicators: bars and metrics of one interval as tables of a DuckDB connection, and what SQL makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

# Before any thread begins, as PyArrow looks at it in each: where one imports it on demand, another may recurse into
# NumPy meanwhile (python/cpython#149728).
from numpy import ma

from ...indicators.contract import NO_MOMENT, Array, Indicator, Panel, Values
from ...indicators.registry import INDICATORS
from ..base.statements import statement

if TYPE_CHECKING:
    import duckdb

    from .pivot import Pivot

#: Newest bars of each series that SQL indicators see: what the one that looks back furthest was laid out for.
SQL_BARS = max(i.lookback for i in INDICATORS.values() if i.compute is None and i.source == "candles")


class SqlIndicators:
    """Computes SQL indicators over the bars and metrics that were loaded last."""

    def __init__(self, door: duckdb.DuckDBPyConnection) -> None:
        self._door = door

    def load_bars(self, interval: str, pivot: Pivot) -> None:
        """Make the bars of an interval readable as ``bars``."""
        # As a table of its own: each statement over an Arrow table costs a millisecond before its first row.
        self._door.register("incoming", pivot.ranked.filter(pc.less_equal(pivot.ranked["rn"], SQL_BARS)))
        self._door.execute("CREATE OR REPLACE TEMP TABLE bars AS SELECT * FROM incoming")
        self._door.unregister("incoming")
        self._door.execute("SET VARIABLE interval = $interval", {"interval": interval})

    def load_metrics(self, interval: str, pivot: Pivot) -> None:  # noqa: ARG002 - who keeps the metrics wants it
        """Make the metrics of an interval readable as ``metrics``."""
        self._door.register("metrics", pivot.ranked)

    def compute(self, declared: Indicator, panel: Panel) -> Values:
        """Values of an SQL indicator over the bars (or metrics) loaded last; a series without a row is undefined.

        Raises ValueError if the statement's columns are not the declared ones.
        """
        found = self._door.execute(statement(f"indicators/{declared.id}")).fetchnumpy()
        wanted = ["series", *(column.name for column in declared.columns)]
        if list(found) != wanted:
            raise ValueError(f"sql/indicators/{declared.id}.sql returns {list(found)}, declared are {wanted}")
        series = np.asarray(found["series"])
        defined = np.zeros(panel.series, dtype=np.bool_)
        defined[series] = True
        return Values(
            *(_spread(found[column.name], series, panel.series, column.kind) for column in declared.columns),
            defined=defined,
        )


def _spread(found: Array, series: Array, width: int, kind: str) -> Array:
    """A result column in the panel's order: NaN (None, NO_MOMENT) where the statement had no row or NULL."""
    if kind == "text":
        texts = np.full(width, None, dtype=np.object_)
        texts[series] = ma.filled(ma.asarray(found, dtype=np.object_), None)
        return texts
    if kind == "time":
        moments = np.full(width, NO_MOMENT)
        known = ma.asarray(found).astype("datetime64[us]").astype(np.int64)
        moments[series] = ma.filled(known, NO_MOMENT)
        return moments
    numbers = np.full(width, np.nan)
    numbers[series] = ma.filled(ma.asarray(found).astype(np.float64), np.nan)
    return numbers
