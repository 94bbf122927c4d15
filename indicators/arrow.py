"""Functions of Arrow by their names, of which ``pyarrow.compute`` would make Python functions with documentation.

It makes all 300 when it is imported, as it is by each method of a table or an array that calls one of them. That takes
a twentieth of a small run.
"""

from __future__ import annotations

from typing import Any, TypeVar

# Not on demand: PyArrow looks at numpy.ma in each thread, and where one imports it, another may recurse into NumPy
# meanwhile (python/cpython#149728). Whatever makes arrays in a thread has imported this module.
import numpy.ma  # noqa: F401
import pyarrow as pa
from pyarrow._compute import CastOptions, SortOptions, call_function

Rows = TypeVar("Rows", pa.Table, pa.Array, pa.ChunkedArray)


def call(name: str, *arguments: Any) -> Any:
    """What the function of a name makes of arrays, tables and scalars. Raises pa.ArrowException as it does."""
    return call_function(name, list(arguments))


def filtered(rows: Rows, mask: pa.Array) -> Rows:
    """The rows for which a mask is true."""
    return call("filter", rows, mask)


def taken(rows: Rows, places: pa.Array) -> Rows:
    """The rows at some places; none where a place is null."""
    return call("take", rows, places)


def cast(values: Rows, to: pa.DataType) -> Rows:
    """The values as another type. Raises pa.ArrowInvalid where one does not fit."""
    return call_function("cast", [values], CastOptions.safe(to))


def filled(values: Rows, value: object) -> Rows:
    """The values, with one in the place of each null."""
    return call("coalesce", values, pa.scalar(value, values.type))


def encoded(values: pa.Array) -> pa.DictionaryArray:
    """The values as a dictionary array."""
    return call("dictionary_encode", values)


def in_order(rows: pa.Table, names: list[str]) -> pa.Array:
    """The places of rows in ascending order of some columns."""
    return call_function("sort_indices", [rows], SortOptions(sort_keys=[(name, "ascending") for name in names]))
