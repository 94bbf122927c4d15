"""One interval's rows: SQL over the work file, NumPy over the panel, and what fails kept apart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...indicators import evaluate
from ...indicators.contract import Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...indicators.contract import Array, Indicator, Panel
    from ..record import Record
    from .sql import SqlIndicators

log = logging.getLogger(__name__)


def compute_interval(
    indicators: Sequence[Indicator], bars: Panel, metrics: Panel | None, sql: SqlIndicators, record: Record
) -> dict[Indicator, pa.Table]:
    """Finished rows of every indicator at one interval, a row per series.

    A failing indicator costs only the series it fails on: these get rows without values, and are reported.
    """
    rows = {}
    keys = {id(panel): _keys(panel, record.run_id) for panel in (bars, metrics) if panel is not None and panel.series}
    for declared in indicators:
        panel = bars if declared.source == "candles" else metrics
        if panel is None or not panel.series or not declared.covers(panel.interval):
            continue
        try:
            values = evaluate.compute(declared, panel) if declared.compute else sql.compute(declared, panel)
            cells = evaluate.finish(declared, panel, values)
        except Exception as error:  # whatever an indicator stumbles over: reported, and never the end of a run
            cells = evaluate.finish(declared, panel, _isolated(declared, panel, error, record))
        rows[declared] = _as_arrow(keys[id(panel)], cells)
        record.rows += panel.series
    return rows


def _isolated(declared: Indicator, panel: Panel, error: Exception, record: Record) -> Values:
    """Values of a failing indicator, computed series by series; a series that fails stays undefined."""
    if declared.compute is None:
        _report(declared, "", panel.interval, error, record)
        return evaluate.nothing(declared, panel)
    reported = len(record.errors)
    parts: list[Values] = []
    for column, symbol in enumerate(panel.symbols):
        alone = panel.select([column])
        try:
            part = evaluate.compute(declared, alone)
            evaluate.finish(declared, alone, part)
        except Exception as cause:
            _report(declared, symbol, panel.interval, cause, record)
            part = evaluate.nothing(declared, alone)
        parts.append(part)
    if len(record.errors) == reported:
        # It fails on all of them together only; the values of each alone stand, and the failure is told.
        _report(declared, "", panel.interval, error, record)
    columns = [_joined([part.columns[i] for part in parts]) for i in range(len(declared.columns))]
    defined = [np.ones(1, dtype=np.bool_) if part.defined is None else part.defined for part in parts]
    return Values(*columns, defined=np.concatenate(defined))


def _joined(parts: Sequence[Array]) -> Array:
    """One array of the values of single series; texts beside missing ones stay texts."""
    texts = any(part.dtype.kind in "OU" for part in parts)
    return np.concatenate([part.astype(np.object_) if texts else part for part in parts])


def _report(declared: Indicator, symbol: str, interval: str, error: Exception, record: Record) -> None:
    message = f"{type(error).__name__}: {error}"
    log.error("%s failed on %s %s: %s", declared.id, symbol or "all symbols", interval, message)
    log.debug("the traceback:", exc_info=error)
    record.fail(declared.table, symbol, interval, message)


def _keys(panel: Panel, run_id: str) -> dict[str, pa.Array]:
    """The key columns of a panel's rows, which all its indicators share."""
    return {
        "symbol": pa.array(panel.symbols, pa.string()),
        "interval": pa.repeat(panel.interval, panel.series),
        "bucket_ts": _moments(panel.newest_time),
        "run_id": pa.repeat(run_id, panel.series),
    }


def _as_arrow(keys: dict[str, pa.Array], cells: Sequence[evaluate.Cells]) -> pa.Table:
    columns = dict(keys)
    for cell in cells:
        if cell.column.kind == "time":
            columns[cell.column.name] = _moments(cell.values, cell.null)
        else:
            kind = pa.string() if cell.column.kind == "text" else None
            columns[cell.column.name] = pa.array(cell.values, kind, mask=cell.null)
    return pa.table(columns)


def _moments(
    values: np.ndarray[tuple[int], np.dtype[np.int64]], null: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
) -> pa.Array:
    return pa.array(values, mask=null).cast(pa.timestamp("us", "UTC"))
