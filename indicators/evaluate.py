"""From an indicator and a panel to finished rows: the rules that hold for every indicator, applied once.

Which series have enough bars, what a row without values looks like, that NaN and infinity are NULL, and that a function
keeps to its declaration: it reads its inputs alone, and returns its columns and words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .contract import Values
from .kinds import TEXT, Coded
from .profiles import PARITY

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from .contract import Array, Bools, Column, Indicator, Panel, Parameters


@dataclass(frozen=True)
class Cells:
    """One column of finished rows: values of shape (series,), texts coded, and where they are NULL."""

    column: Column
    finished: Array | Coded
    null: Bools

    @property
    def values(self) -> Array:
        """The values, texts as they are."""
        return self.finished.texts if isinstance(self.finished, Coded) else self.finished

    def arrow(self, coded: bool = False) -> pa.Array:
        """The column as the work file takes it; ``coded``: texts as places in a dictionary."""
        kind = self.column.kind
        return (kind.coded if coded else kind.arrow)(self.finished, self.null)


def expect(panel: Panel, indicators: Iterable[Indicator]) -> None:
    """Tell the panel which periods of shared kernels some indicators are going to ask for."""
    for declared in indicators:
        for kernel, names in declared.shares.items():
            periods = [period for name in names for period in np.atleast_1d(declared.parameters[name]).tolist()]
            panel.expect(kernel, periods)


def enough_bars(
    indicator: Indicator, panel: Panel, parameters: Parameters | None = None, profile: str = PARITY
) -> Bools:
    """Which series have the bars that the indicator needs; shape (series,).

    The replaced service's rule holds for its own values: its profile, with the default parameters.
    """
    if profile == PARITY and parameters in (None, indicator.defaults):
        needed = panel.by_interval(indicator.stored.bars_needed)
    else:
        needed = np.full(panel.series, indicator.bars_needed(parameters, profile))
    return np.asarray(panel.lengths >= needed)


def compute(indicator: Indicator, panel: Panel, parameters: Parameters | None = None, profile: str = PARITY) -> Values:
    """Values of a NumPy indicator over a panel; no series long enough: none. Division by zero gives NaN, not noise.

    Raises ValueError where the function reads a field that it does not declare, or the profile's values are of SQL.
    """
    function = indicator.function(profile)
    if function is None:
        raise ValueError(f"indicator {indicator.id} is written in SQL")
    if not enough_bars(indicator, panel, parameters, profile).any():
        return nothing(indicator, panel)
    given = (parameters or indicator.defaults,) if indicator.parameters else ()
    inputs = panel.only(indicator.inputs)
    try:
        with np.errstate(all="ignore"):
            return function(inputs, *given)
    except (AttributeError, KeyError) as error:
        undeclared = [n for n in panel.fields if n not in indicator.inputs and repr(n) in str(error)]
        if undeclared:
            raise ValueError(
                f"{indicator.id} reads {undeclared[0]}, which it does not declare: add it to inputs"
            ) from error
        raise


def nothing(indicator: Indicator, panel: Panel) -> Values:
    """Values of an indicator that has none for any series: NULL in every column."""
    return Values(*(column.kind.blank(panel.series) for column in indicator.columns))


def finish(
    indicator: Indicator,
    panel: Panel,
    values: Values,
    parameters: Parameters | None = None,
    profile: str = PARITY,
) -> list[Cells]:
    """Cells of all columns for all series of the panel.

    A series with fewer bars than the indicator needs, or that the indicator left undefined, has NULL in every column;
    from half the service's lookback on, the texts of a short row. Raises ValueError if the indicator returned another
    number of columns, another shape, or other words than it declares.
    """
    if len(values.columns) != len(indicator.columns):
        raise ValueError(
            f"{indicator.id} returned {len(values.columns)} columns, declared are {len(indicator.columns)}"
        )
    stored = indicator.stored
    defined = enough_bars(indicator, panel, parameters, profile)
    if values.defined is not None:
        defined = defined & values.defined
    short = ~defined & (panel.lengths >= stored.lookback // 2)
    cells = []
    for column, raw in zip(indicator.columns, values.columns, strict=True):
        if raw.shape != (panel.series,):
            raise ValueError(f"{indicator.id}.{column.name} has shape {raw.shape}, want ({panel.series},)")
        if column.kind is TEXT:
            raw = Coded.of(raw)
        null = ~defined | column.kind.nulls(raw)
        finished = column.kind.finished(raw, null)
        if column.kind is TEXT:
            _check_words(indicator, column, finished.words, profile)
        if profile == PARITY and column.name in stored.short and short.any():
            text = stored.short[column.name]
            finished = finished.where(short, text) if column.kind is TEXT else np.where(short, text, finished)
            null = null & ~short
        cells.append(Cells(column, finished, null))
    return cells


def _check_words(indicator: Indicator, column: Column, words: Array, profile: str) -> None:
    """Raise ValueError for a text that is not among the declared words; only variants may say some of them."""
    if column.free:
        return
    found = set(words.tolist()) - {None}
    if column.listed:
        found = {word for value in found for word in value.split(",")}
    known = indicator.words(column) if profile in indicator.variants else column.words
    if unknown := sorted(found - known.keys()):
        raise ValueError(
            f"{indicator.id}.{column.name} is {unknown[0]!r}, which is none of its words: "
            "add it to the column's words, with its English"
        )
