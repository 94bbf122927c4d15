"""SQL indicators: bars and metrics of a panel as tables of a DuckDB connection, and what SQL makes of them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...indicators import arrow
from ...indicators.contract import BAR_FIELDS, METRIC_FIELDS, Indicator, Panel, Parameters, Source, Values
from ...indicators.profiles import PARITY, PROFILES
from ...indicators.registry import INDICATORS
from ..base.statements import expressions, identifier, literal, render, statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from ...indicators.contract import Ints
    from ..base.statements import Sql
    from .pivot import Pivot


#: What statements call the rows of a source.
_TABLES: dict[Source, str] = {"candles": "bars", "metrics": "metrics"}


class SqlIndicators:
    """Computes SQL indicators over the bars and metrics that were loaded last."""

    #: Of what statements read, that which is a view, not a table.
    _views: frozenset[str] = frozenset()

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def keep(self, interval: str, bars: Pivot, metrics: Pivot | None) -> None:
        """Keep the bars and metrics of an interval for analysts: the work file does, this does not."""

    def store(self, declared: Indicator, rows: pa.Table) -> None:
        """Keep the finished rows of an indicator for analysts: likewise."""

    def load(
        self, source: Source, pivots: Sequence[Pivot], columns: Sequence[Ints] | None = None, newest: int | None = None
    ) -> None:
        """Make the rows of some panels readable as ``bars`` or ``metrics``.

        Args:
            source: which of the two.
            pivots: of the panels.
            columns: of each panel's series in the panel of all; may be left out for one panel alone.
            newest: rows of each series that are read; None: as many as a registered indicator reads of its interval.
        """
        parts = []
        for pivot, places in zip(pivots, columns or [np.arange(pivots[0].panel.series)], strict=True):
            interval = pivot.panel.intervals[0] if pivot.panel.series else ""
            ranks = pivot.ranked["rn"]
            oldest = pa.scalar(newest or _bars_read(source, interval), ranks.type)
            read = arrow.filtered(pivot.ranked, arrow.call("less_equal", ranks, oldest))
            parts.append(read.set_column(0, "series", pa.array(places[read["series"].to_numpy()])))
        self.load_ranked(pa.concat_tables(parts), source)

    def load_ranked(self, ranked: pa.Table, source: Source) -> None:
        """Make rows in the form of ``Pivot.ranked`` readable as ``bars`` or ``metrics``."""
        name = _TABLES[source]
        if name in self._views:
            self._connection.execute(f"DROP VIEW {identifier(name)}")
            self._views -= {name}
        self._load(name, ranked)

    def load_sliding(self, rows: pa.Table) -> None:
        """Take the rows of a series, for ``read_windows``: ``place`` is 0 at the newest bar of the first window."""
        self._load("sliding", rows)
        ages = literal(1 - arrow.call("min", rows["place"]).as_py())
        # As a table, whose least and greatest value are known: so the windows that rows belong to are places, and no
        # hash of them is made.
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE ages AS SELECT * FROM range({ages}, 0, -1) AS ages(rn)")
        self._connection.execute("SET perfect_ht_threshold = 20")

    def read_windows(self, windows: int, newest: int, source: Source) -> None:
        """Make the newest bars of each window of the rows taken last readable as ``bars`` or ``metrics``.

        The windows are the series; what they share is not copied.
        """
        name = _TABLES[source]
        if name not in self._views:
            self._connection.execute(f"DROP TABLE IF EXISTS {identifier(name)}")
            self._views |= {name}
        parts = {"name": identifier(name), "windows": literal(windows), "newest": literal(newest)}
        self._connection.execute(render(statement("compute/windows"), **parts))

    def _load(self, name: str, rows: pa.Table) -> None:
        # As a table of its own: each statement over an Arrow table costs a millisecond before its first row.
        self._connection.register("incoming", rows.__arrow_c_stream__())
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {identifier(name)} AS SELECT * FROM incoming")
        self._connection.unregister("incoming")

    def reads(self, indicators: Iterable[Indicator], columns: Iterable[str], profile: str = PARITY) -> list[str]:
        """Those of some columns that the statements of some indicators name."""
        words = {word for declared in indicators for word in re.findall(r"\w+", _checked(declared, profile))}
        return [name for name in columns if name in words]

    def steps(
        self, declared: Indicator, parameters: Parameters | None = None, profile: str = PARITY
    ) -> dict[str, pa.Table]:
        """The rows of each common table expression of an SQL indicator, over what was loaded last, by its name."""
        given = (parameters or declared.defaults).as_dict()
        found = {}
        for name, query in expressions(_checked(declared, profile)).items():
            named = {key: value for key, value in given.items() if f"${key}" in query}
            found[name] = self._connection.execute(query, named or None).to_arrow_table()
        return found

    def compute(
        self, declared: Indicator, panel: Panel, parameters: Parameters | None = None, profile: str = PARITY
    ) -> Values:
        """Values of an SQL indicator over the bars (or metrics) loaded last; a series without a row is undefined.

        Raises ValueError where the statement reads a field that is not declared, or its columns are not the declared
        ones, or it has several rows for a series.
        """
        query, name = _checked(declared, profile), _named(declared, profile)
        named = set(re.findall(r"\$(\w+)", query))
        given = {name: value for name, value in (parameters or declared.defaults).as_dict().items() if name in named}
        found = self._connection.execute(query, given or None).fetchnumpy()
        wanted = ["series", *(column.name for column in declared.columns)]
        if list(found) != wanted:
            raise ValueError(f"sql/{name}.sql returns {list(found)}, declared are {wanted}")
        series = np.asarray(found["series"])
        defined = np.zeros(panel.series, dtype=np.bool_)
        defined[series] = True
        if defined.sum() != len(series):
            raise ValueError(f"sql/{name}.sql returns several rows for a series: one is wanted")
        return Values(
            *(column.kind.spread(found[column.name], series, panel.series) for column in declared.columns),
            defined=defined,
        )


def _bars_read(source: Source, interval: str) -> int:
    """Newest rows of a series that some registered SQL indicator reads."""
    return max(
        (
            declared.bars_read(profile=profile)
            for declared in INDICATORS.values()
            for profile in PROFILES
            if declared.function(profile) is None and declared.source == source and declared.covers(interval)
        ),
        default=0,
    )


def _named(declared: Indicator, profile: str) -> str:
    """Name of the statement of an indicator in a profile."""
    return f"indicators/{declared.id}{f'.{profile}' if profile in declared.variants else ''}"


@cache
def _checked(declared: Indicator, profile: str) -> Sql:
    """The statement of an indicator. Raises ValueError for a field it does not declare."""
    query = statement(_named(declared, profile))
    known = BAR_FIELDS if declared.source == "candles" else METRIC_FIELDS
    for name in known:
        if name not in declared.inputs and re.search(rf"\b{name}\b", query):
            raise ValueError(
                f"sql/{_named(declared, profile)}.sql reads {name}, which is not declared: add it to inputs"
            )
    return query
