"""SQL indicators: bars and metrics of a panel as tables of a DuckDB connection, and what SQL makes of them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

# Before any thread begins, as PyArrow looks at it in each: where one imports it on demand, another may recurse into
# NumPy meanwhile (python/cpython#149728).
from numpy import ma  # noqa: F401

from ...indicators.contract import BAR_FIELDS, METRIC_FIELDS, PARITY, Indicator, Panel, Parameters, Source, Values
from ...indicators.registry import INDICATORS
from ..base.statements import statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb
    import pyarrow as pa

    from ..base.statements import Sql
    from .pivot import Pivot


class SqlIndicators:
    """Computes SQL indicators over the bars and metrics that were loaded last."""

    def __init__(self, door: duckdb.DuckDBPyConnection) -> None:
        self._door = door

    def load_bars(self, interval: str, pivot: Pivot) -> None:  # noqa: ARG002 - who keeps the bars wants it
        """Make the bars of an interval readable as ``bars``, as far back as a registered indicator reads them."""
        furthest = max(declared.bars_read() for declared in INDICATORS.values() if declared.compute is None)
        self.load(pivot, furthest)

    def load(self, pivot: Pivot, newest: int) -> None:
        """Make the newest bars of each series readable as ``bars``."""
        # As a table of its own: each statement over an Arrow table costs a millisecond before its first row.
        self._door.register("incoming", pivot.ranked.filter(pc.less_equal(pivot.ranked["rn"], newest)))
        self._door.execute("CREATE OR REPLACE TEMP TABLE bars AS SELECT * FROM incoming")
        self._door.unregister("incoming")

    def load_ranked(self, ranked: pa.Table, source: Source) -> None:
        """Make rows in the form of ``Pivot.ranked`` readable as ``bars`` or ``metrics``, for one statement or a few."""
        self._door.register("bars" if source == "candles" else "metrics", ranked)

    def reads(self, declared: Indicator, columns: Iterable[str], profile: str = PARITY) -> list[str]:
        """Those of some columns that the statement of an indicator names."""
        words = set(re.findall(r"\w+", _checked(declared, profile)[0]))
        return [name for name in columns if name in words]

    def load_metrics(self, interval: str, pivot: Pivot) -> None:  # noqa: ARG002 - who keeps the metrics wants it
        """Make the metrics of an interval readable as ``metrics``."""
        self._door.register("metrics", pivot.ranked)

    def compute(
        self, declared: Indicator, panel: Panel, parameters: Parameters | None = None, profile: str = PARITY
    ) -> Values:
        """Values of an SQL indicator over the bars (or metrics) loaded last; a series without a row is undefined.

        Raises ValueError where the statement reads a field that is not declared, or its columns are not the declared
        ones, or it has several rows for a series.
        """
        query, names = _checked(declared, profile)
        given = {name: value for name, value in (parameters or declared.defaults).as_dict().items() if name in names}
        found = self._door.execute(query, given or None).fetchnumpy()
        wanted = ["series", *(column.name for column in declared.columns)]
        if list(found) != wanted:
            raise ValueError(f"sql/indicators/{declared.id}.sql returns {list(found)}, declared are {wanted}")
        series = np.asarray(found["series"])
        defined = np.zeros(panel.series, dtype=np.bool_)
        defined[series] = True
        if defined.sum() != len(series):
            raise ValueError(f"sql/indicators/{declared.id}.sql returns several rows for a series: one is wanted")
        return Values(
            *(column.kind.spread(found[column.name], series, panel.series) for column in declared.columns),
            defined=defined,
        )


@cache
def _checked(declared: Indicator, profile: str) -> tuple[Sql, frozenset[str]]:
    """The statement of an indicator, and the parameters in it. Raises ValueError for a field it does not declare."""
    variant = f".{profile}" if profile in declared.variants else ""
    query = statement(f"indicators/{declared.id}{variant}")
    known = BAR_FIELDS if declared.source == "candles" else METRIC_FIELDS
    for name in known:
        if name not in declared.inputs and re.search(rf"\b{name}\b", query):
            raise ValueError(f"sql/indicators/{declared.id}.sql reads {name}, which is not declared: add it to inputs")
    return query, frozenset(re.findall(r"\$(\w+)", query))
