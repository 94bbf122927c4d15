"""The kinds of columns: what a value is here, in Arrow, in the work file and in SQLite.

A column's kind is one of four objects, and whoever handles columns asks it instead of knowing the four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa
from numpy import ma, strings
from numpy.typing import NDArray

from .arrow import call, cast, encoded, filled, taken
from .rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .rounding import Rounding

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]

#: A moment that is not there, in an array of microseconds since the epoch (what NumPy calls NaT).
NO_MOMENT = np.iinfo(np.int64).min
UTC_MICROSECONDS = pa.timestamp("us", "UTC")


@dataclass(frozen=True, eq=False)
class Coded:
    """Texts that repeat, each as its place in a list of words: what a column of texts is made of.

    Attributes:
        codes: which word, int64 of shape (series,).
        words: the words, an array of objects; None is NULL.
    """

    codes: Ints
    words: Array

    @classmethod
    def of(cls, values: Array | Coded) -> Coded:
        """The same texts, coded."""
        if isinstance(values, Coded):
            return values
        if values.dtype.kind == "U" and len(values) >= _MANY:
            return _coded(values)
        places: dict[str | None, int] = {}
        codes = [places.setdefault(text, len(places)) for text in values.tolist()]
        return cls(np.array(codes, dtype=np.int64), np.array(list(places), dtype=np.object_))

    @classmethod
    def select(cls, conditions: Sequence[Any], texts: Sequence[str | None], otherwise: str) -> Coded:
        """For each series the text of the first condition that holds, ``otherwise`` where none does.

        As ``np.select``, without writing each text for each series. Words that stand nowhere are left out.
        """
        codes = np.full(conditions[0].shape, len(texts))
        for place in reversed(range(len(texts))):
            np.copyto(codes, place, where=conditions[place])
        used = np.bincount(codes, minlength=len(texts) + 1) > 0
        if used.all():
            return cls(codes, np.array([*texts, otherwise], dtype=np.object_))
        return cls((np.cumsum(used) - 1)[codes], np.array([*texts, otherwise], dtype=np.object_)[used])

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the texts."""
        return self.codes.shape

    @property
    def texts(self) -> Array:
        """The texts themselves, an array of objects."""
        found: Array = self.words[self.codes]
        return found

    def are(self, text: str | None) -> Bools:
        """Which of them are this text; shape (series,)."""
        return np.asarray(self.words == np.array(text, dtype=np.object_))[self.codes]

    def where(self, mask: Bools, text: str | None) -> Coded:
        """The same with another text at some places; words that then stand nowhere are dropped."""
        used = np.bincount(self.codes[~mask], minlength=len(self.words)) > 0
        places = np.cumsum(used) - 1
        words = np.array([*self.words[used], text], dtype=np.object_)
        return Coded(np.where(mask, len(words) - 1, places[self.codes]), words)


#: Texts from which on comparing numbers is faster than looking up each text.
_MANY = 512
_ODD = np.uint64(0x9E3779B97F4A7C15)


def _coded(values: Array) -> Coded:
    """Texts of fixed width, coded: a number is made of each text's letters, and equal numbers are looked for."""
    letters = np.ascontiguousarray(values).view(np.uint32).reshape(len(values), -1)
    numbers = np.zeros(len(values), dtype=np.uint64)
    for column in letters.T:
        numbers = numbers * _ODD + column
    codes, left = np.zeros(len(values), dtype=np.int64), np.ones(len(values), dtype=np.bool_)
    words: list[str] = []
    while len(words) < _MANY and left.any():
        place = int(left.argmax())
        same = numbers == numbers[place]
        codes[same] = len(words)
        words.append(values[place])
        left &= ~same
    if left.any() or (np.array(words)[codes] != values).any():
        # Too many texts, or two of one number.
        found, codes = np.unique(values, return_inverse=True)
        words = found.tolist()
    return Coded(codes, np.array(list(map(str, words)), dtype=np.object_))


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
    def nulls(self, values: Any) -> Bools:
        """Which of the values that an indicator returned are NULL; shape (series,)."""

    def finished(self, values: Any, null: Bools) -> Any:
        """The values with ``dtype``, texts coded; shape (series,)."""
        if values.dtype == self.dtype and not null.any():
            return values
        return np.where(null, np.array(self.fill), values).astype(self.dtype)

    def arrow(self, values: Any, null: Bools) -> pa.Array:
        """Finished values as the work file takes them."""
        return _masked(values, null)

    def coded(self, values: Any, null: Bools) -> pa.Array:
        """The same, where texts are places in a dictionary of different words."""
        return self.arrow(values, null)

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
        numbers[series] = ma.filled(found.astype(np.float64, copy=False), np.nan)
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

    def nulls(self, values: Any) -> Bools:
        return Coded.of(values).are(None)

    def finished(self, values: Any, null: Bools) -> Coded:
        coded = Coded.of(values)
        return coded.where(null, None) if null.any() else coded

    def arrow(self, values: Coded, null: Bools) -> pa.Array:
        words = pa.array(values.words, pa.string())
        return taken(words, _masked(values.codes, null))

    def coded(self, values: Coded, null: Bools) -> pa.Array:
        words = encoded(pa.array(values.words, pa.string()))
        return pa.DictionaryArray.from_arrays(taken(words.indices, _masked(values.codes, null)), words.dictionary)

    def spread(self, found: Array, series: Array, width: int) -> Array:
        texts = np.full(width, None, dtype=np.object_)
        texts[series] = ma.filled(found, None)
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
        return cast(_masked(values, null), UTC_MICROSECONDS)

    def spread(self, found: Array, series: Array, width: int) -> Array:
        moments = np.full(width, NO_MOMENT)
        known = found.astype("datetime64[us]").astype(np.int64)
        moments[series] = ma.filled(known, NO_MOMENT)
        return moments

    def written(self, values: pa.Array, rounding: Rounding | None) -> pa.Array:  # noqa: ARG002 - of numbers only
        null = call("is_null", values).to_numpy(zero_copy_only=False)
        return pa.array(iso(filled(cast(values, pa.int64()), 0).to_numpy()), mask=null)


def _masked(values: Array, null: Bools) -> pa.Array:
    """The values with NULL at some places; where there is none, nothing is copied."""
    return pa.array(values, mask=null) if null.any() else pa.array(values)


REAL, INTEGER, TEXT, TIME = KINDS = (_Real(), _Integer(), _Text(), _Time())


def iso(moments: Ints) -> Array:
    """Microseconds since the epoch as ``2026-01-18T14:00:00+00:00``, with a fraction only where there is one."""
    times = moments.astype("datetime64[us]")
    seconds = times.astype("datetime64[s]")
    texts = np.where(times == seconds, np.datetime_as_string(seconds), np.datetime_as_string(times))
    return strings.add(texts, "+00:00")
