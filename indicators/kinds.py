"""The kinds of columns: what a value is here, in Arrow, in the work file and in SQLite.

A column's kind is one of four objects, and whoever handles columns asks it instead of knowing the four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
from numpy import ma, strings
from numpy.typing import NDArray

from .rounding import rounded

if TYPE_CHECKING:
    from .rounding import Rounding

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]

#: A moment that is not there, in an array of microseconds since the epoch (what NumPy calls NaT).
NO_MOMENT = np.iinfo(np.int64).min
#: A text that is not there.
NO_TEXT: Array = np.array(None)
UTC_MICROSECONDS = pa.timestamp("us", "UTC")


class Kind(ABC):
    """One kind of column.

    Attributes:
        name: as documents and tests call it.
        dtype: of finished values.
        python: type of a value as a Python object.
        missing: what stands for NULL in an array that an indicator returns.
        fill: what stands under a NULL in a finished array; nobody reads it.
        work_file: type of the column in the work file (DuckDB).
        declared: type of the column in SQLite.
        sink: DuckDB's name for that type: its own REAL would have 4 bytes.
    """

    name: ClassVar[str]
    dtype: ClassVar[type]
    python: ClassVar[type]
    missing: ClassVar[Any]
    fill: ClassVar[Any]
    work_file: ClassVar[str]
    declared: ClassVar[str]
    sink: ClassVar[str]

    def __str__(self) -> str:
        return self.name

    def blank(self, series: int) -> Array:
        """NULL for each of some series, as an indicator returns it; shape (series,)."""
        return np.full(series, self.missing)

    @abstractmethod
    def nulls(self, values: Array) -> Bools:
        """Which of the values that an indicator returned are NULL; shape (series,)."""

    def finished(self, values: Array, null: Bools) -> Array:
        """The values with ``dtype``; shape (series,)."""
        return np.where(null, np.array(self.fill), values).astype(self.dtype)

    def arrow(self, values: Array, null: Bools) -> pa.Array:
        """Finished values as the work file takes them."""
        return pa.array(values, mask=null)

    @abstractmethod
    def spread(self, found: Array, series: Array, width: int) -> Array:
        """A column that DuckDB computed for some series, for all of them: NULL where it has none; shape (width,)."""

    def written(self, values: pa.Array, rounding: Rounding | None) -> pa.Array:  # noqa: ARG002 - of numbers only
        """Values of the work file as SQLite holds them."""
        return values


class _Number(Kind):
    missing = np.nan
    fill = 0

    def nulls(self, values: Array) -> Bools:
        if values.dtype.kind == "f":
            return ~np.isfinite(values)
        return np.zeros(values.shape, dtype=np.bool_)

    def spread(self, found: Array, series: Array, width: int) -> Array:
        numbers = np.full(width, np.nan)
        numbers[series] = ma.filled(ma.asarray(found).astype(np.float64), np.nan)
        return numbers


class _Real(_Number):
    name, dtype, python, work_file, declared, sink = "real", np.float64, float, "DOUBLE", "REAL", "DOUBLE"

    def written(self, values: pa.Array, rounding: Rounding | None) -> pa.Array:
        if rounding is None:
            return values
        numbers = values.to_numpy(zero_copy_only=False)
        return pa.array(rounded(numbers, rounding), mask=np.isnan(numbers))


class _Integer(_Number):
    name, dtype, python, work_file, declared, sink = "integer", np.int64, int, "BIGINT", "INTEGER", "BIGINT"


class _Text(Kind):
    name, dtype, python, work_file, declared, sink = "text", np.object_, str, "VARCHAR", "TEXT", "VARCHAR"
    missing = None
    fill = None

    def nulls(self, values: Array) -> Bools:
        if values.dtype.kind == "O":
            return np.asarray(values == NO_TEXT)
        return np.zeros(values.shape, dtype=np.bool_)

    def arrow(self, values: Array, null: Bools) -> pa.Array:
        return pa.array(values, pa.string(), mask=null)

    def spread(self, found: Array, series: Array, width: int) -> Array:
        texts = np.full(width, None, dtype=np.object_)
        texts[series] = ma.filled(ma.asarray(found, dtype=np.object_), None)
        return texts


class _Time(Kind):
    name, dtype, python, work_file, declared, sink = "time", np.int64, int, "TIMESTAMPTZ", "TEXT", "VARCHAR"
    missing = NO_MOMENT
    fill = 0

    def nulls(self, values: Array) -> Bools:
        if values.dtype.kind == "f":
            return ~np.isfinite(values)
        return np.asarray(values == NO_MOMENT)

    def arrow(self, values: Array, null: Bools) -> pa.Array:
        return pa.array(values, mask=null).cast(UTC_MICROSECONDS)

    def spread(self, found: Array, series: Array, width: int) -> Array:
        moments = np.full(width, NO_MOMENT)
        known = ma.asarray(found).astype("datetime64[us]").astype(np.int64)
        moments[series] = ma.filled(known, NO_MOMENT)
        return moments

    def written(self, values: pa.Array, rounding: Rounding | None) -> pa.Array:  # noqa: ARG002 - of numbers only
        null = values.is_null().to_numpy(zero_copy_only=False)
        return pa.array(iso(values.cast(pa.int64()).fill_null(0).to_numpy()), mask=null)


REAL, INTEGER, TEXT, TIME = KINDS = (_Real(), _Integer(), _Text(), _Time())


def iso(moments: Ints) -> Array:
    """Microseconds since the epoch as ``2026-01-18T14:00:00+00:00``, with a fraction only where there is one."""
    times = moments.astype("datetime64[us]")
    seconds = times.astype("datetime64[s]")
    texts = np.where(times == seconds, np.datetime_as_string(seconds), np.datetime_as_string(times))
    return strings.add(texts, "+00:00")
