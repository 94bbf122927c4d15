"""The rows of a panel: SQL over the work file, NumPy over the arrays, and what fails kept apart."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ...indicators import evaluate
from ...indicators.arrow import encoded, filtered
from ...indicators.contract import Values
from ...indicators.kinds import TIME, Coded
from ...indicators.profiles import PARITY
from ..base.shortage import pass_on
from ..record import SILENT, Observer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...indicators.contract import Array, Indicator, Panel, Parameters
    from .sql import SqlIndicators

log = logging.getLogger(__name__)


def computed(
    indicators: Sequence[Indicator],
    bars: Panel | None,
    metrics: Panel | None,
    sql: SqlIndicators,
    run_id: str = "",
    observer: Observer = SILENT,
    profile: str = PARITY,
    coded: bool = False,
    parameters: Mapping[Indicator, Parameters] = MappingProxyType({}),
) -> Iterator[tuple[Indicator, pa.Table]]:
    """Finished rows of one indicator after the other, a row per series of the intervals it covers, with the run's id.

    Texts are dictionary arrays where they are wanted ``coded``. A failing indicator costs only the series it fails on:
    these get rows without values, and are reported. ``profile``: whose values;
    ``parameters``: of some indicators, other than their defaults.
    """
    panels = {"candles": bars, "metrics": metrics}
    keys = {source: _keys(panel, run_id, coded) for source, panel in panels.items() if panel is not None}
    for source, panel in panels.items():
        if panel is not None:
            evaluate.expect(panel, [declared for declared in indicators if declared.source == source])
    for declared in indicators:
        panel = panels[declared.source]
        covered = panel.by_interval(declared.covers) if panel is not None and panel.series else np.array([False])
        if panel is None or not covered.any():
            continue
        given = parameters.get(declared)
        try:
            compute = evaluate.compute if declared.function(profile) else sql.compute
            cells = evaluate.finish(declared, panel, compute(declared, panel, given, profile), given, profile)
        except Exception as error:  # whatever an indicator stumbles over: reported, and never the end of a run
            pass_on(error)
            values = _isolated(declared, panel, error, observer, given, profile)
            cells = evaluate.finish(declared, panel, values, given, profile)
        table = _as_arrow(keys[declared.source], cells, coded)
        yield declared, table if covered.all() else filtered(table, pa.array(covered))


def _isolated(
    declared: Indicator, panel: Panel, error: Exception, observer: Observer, given: Parameters | None, profile: str
) -> Values:
    """Values of a failing indicator, computed series by series; a series that fails stays undefined."""
    if declared.function(profile) is None:
        _report(declared, "", _intervals(panel), error, observer)
        return evaluate.nothing(declared, panel)
    failed: list[tuple[str, str, Exception]] = []
    parts: list[Values] = []
    for column, symbol in enumerate(panel.symbols):
        alone = panel.select([column])
        try:
            part = evaluate.compute(declared, alone, given, profile)
            evaluate.finish(declared, alone, part, given, profile)
        except Exception as cause:
            pass_on(cause)
            failed.append((symbol, panel.intervals[column], cause))
            part = evaluate.nothing(declared, alone)
        parts.append(part)
    if len(failed) in (0, panel.series):
        # It fails on all, in one line; or on all of them together only: the values of each alone stand, and it is told.
        _report(declared, "", _intervals(panel), error, observer)
    else:
        for symbol, interval, its_error in failed:
            _report(declared, symbol, interval, its_error, observer)
    columns = [_joined([part.columns[i] for part in parts]) for i in range(len(declared.columns))]
    defined = [np.ones(1, dtype=np.bool_) if part.defined is None else part.defined for part in parts]
    return Values(*columns, defined=np.concatenate(defined))


def _intervals(panel: Panel) -> str:
    return ",".join(dict.fromkeys(panel.intervals))


def _joined(parts: Sequence[Array | Coded]) -> Array:
    """One array of the values of single series; texts beside missing ones stay texts."""
    arrays = [part.texts if isinstance(part, Coded) else part for part in parts]
    texts = any(array.dtype.kind in "OU" for array in arrays)
    return np.concatenate([array.astype(np.object_) if texts else array for array in arrays])


def _report(declared: Indicator, symbol: str, interval: str, error: Exception, observer: Observer) -> None:
    message = f"{type(error).__name__}: {error}"
    log.error("%s failed on %s %s: %s", declared.id, symbol or "all symbols", interval, message)
    log.debug("the traceback:", exc_info=error)
    observer.fail(declared.table, symbol, interval, message)


def _keys(panel: Panel, run_id: str, coded: bool) -> dict[str, pa.Array]:
    """The key columns of a panel's rows, which all its indicators share."""
    return {
        "symbol": _texts(panel.symbols, coded),
        "interval": _texts(panel.intervals, coded),
        "bucket_ts": TIME.arrow(panel.newest_time, np.zeros(panel.series, dtype=np.bool_)),
        "run_id": pa.repeat(pa.scalar(run_id, pa.string()), panel.series),
    }


def _texts(names: Sequence[str], coded: bool) -> pa.Array:
    """Names as Arrow; those of the windows of a series are all the same."""
    if names and names.count(names[0]) == len(names):
        texts = pa.array([names[0]], pa.string())
        if coded:
            return pa.DictionaryArray.from_arrays(np.zeros(len(names), dtype=np.int32), texts)
        return pa.repeat(texts[0], len(names))
    texts = pa.array(names, pa.string())
    return encoded(texts) if coded else texts


def _as_arrow(keys: dict[str, pa.Array], cells: Sequence[evaluate.Cells], coded: bool) -> pa.Table:
    return pa.table(keys | {cell.column.name: cell.arrow(coded) for cell in cells})
