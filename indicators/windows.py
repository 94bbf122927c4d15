"""The windows of a series as a panel: what a live run at each of its bars would have seen.

The value of an indicator at bar t is the value over the window of bars that ends at t. ``Windows`` is a panel whose
series are such windows, all of one length, one for each of the newest bars of a series. They overlap, so its arrays are
views of the series' own memory, and they know it (``Sliding``): what is computed bar by bar is computed once per bar
instead of once per bar and window, and kernels take the windows of a series through their recursions side by side
(``kernels.lanes``). Every window has the values of a panel, to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .contract import Panel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .contract import Array, Floats, Ints

#: Functions whose result at a place depends on their arguments there alone, as that of every ufunc does.
_BY_PLACE = (np.where, np.select, np.nan_to_num, np.clip)
_EXTREMES = (np.maximum, np.minimum, np.fmax, np.fmin)


class Sliding(np.ndarray[Any, np.dtype[Any]]):
    """An array of overlapping windows: element [i, ..., j] is row i of window j, and lies at ``body[..., i + j]``.

    It is an array like any other, but read-only, and: rows cut from it are such an array again, and so is what is
    computed place by place from several of the same shape, which is computed on their bodies. All else sees the array
    that it is, without any copy of it being made.

    Attributes:
        body: the series, shape (..., bars).
    """

    body: Array

    @classmethod
    def over(cls, body: Array, rows: int) -> Sliding:
        """All windows of some rows; shape (rows, ..., bars - rows + 1)."""
        step = body.strides[-1]
        shape = (rows, *body.shape[:-1], body.shape[-1] - rows + 1)
        strides = (step, *body.strides[:-1], step)
        if body.flags.c_contiguous:
            # The same as below, in a tenth of the time.
            array = np.ndarray.__new__(cls, shape, body.dtype, body, 0, strides)
            array.flags.writeable = False
        else:
            array = as_strided(body, shape, strides, writeable=False).view(cls)
        array.body = body
        return array

    @property
    def plain(self) -> Array:
        """The same windows as an ordinary array."""
        return self.view(np.ndarray)

    def __getitem__(self, key: Any) -> Any:
        rows, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, slice) and len(rest) < self.ndim - 1 and all(isinstance(place, int) for place in rest):
            start, stop, step = rows.indices(len(self))
            if step == 1 and start < stop:
                width = self.shape[-1]
                return Sliding.over(self.body[(*rest, ..., slice(start, stop - 1 + width))], stop - start)
        return self.plain[key]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **how: Any) -> Any:
        if method == "__call__" and not how and (found := _by_place(ufunc, inputs)) is not None:
            return found
        if method == "reduce" and how.get("axis", 0) in (0, (0,)) and not how.get("keepdims"):
            if ufunc in _EXTREMES:
                return _extreme(self, ufunc)
            marks = self.dtype == np.bool_ and ufunc in (np.add, np.logical_or, np.logical_and)
            if marks or (self.dtype == np.int64 and ufunc is np.add):
                return _counted(self, ufunc)
        return getattr(ufunc, method)(*map(_plain, inputs), **{name: _plain(value) for name, value in how.items()})

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, how: Any) -> Any:
        if function in _BY_PLACE and not how and (found := _by_place(function, args)) is not None:
            return found
        if function is np.diff and how.get("axis") == 0 and len(args) == 1:
            return args[0][1:] - args[0][:-1]
        if function is np.stack and how.get("axis") == 1 and len(how) == 1 and _alike(args[0]):
            return Sliding.over(np.stack([array.body for array in args[0]]), len(args[0][0]))
        return function(*map(_plain, args), **{name: _plain(value) for name, value in how.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Sliding):
        return value.plain
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value


def _alike(values: Sequence[Any]) -> bool:
    """Whether all are windows of one shape and of series of one form."""
    return all(isinstance(value, Sliding) and value.shape == values[0].shape for value in values)


def _by_place(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """The function of the bodies, as windows; None where an argument is neither such windows nor a number."""
    flat = [part for arg in args for part in (arg if isinstance(arg, list) else [arg])]
    windows = [part for part in flat if isinstance(part, Sliding)]
    if not _alike(windows) or any(np.ndim(part) for part in flat if not isinstance(part, Sliding)):
        return None

    def body(part: Any) -> Any:
        return part.body if isinstance(part, Sliding) else part

    found = function(*([body(part) for part in arg] if isinstance(arg, list) else body(arg) for arg in args))
    return Sliding.over(found, len(windows[0]))


def _extreme(windows: Sliding, larger: np.ufunc) -> Array:
    """The extreme of all rows: that of two overlapping halves, and so on."""
    while len(windows) > 1:
        half = -(-len(windows) // 2)
        windows = larger(windows[:half], windows[len(windows) - half :])
    return np.array(windows[0])


def _counted(windows: Sliding, ufunc: np.ufunc) -> Array:
    """How many rows are true, whether any is, whether all are; of integers the sum of all rows."""
    rows, bars = len(windows), windows.body.shape[-1]
    counts = np.zeros((*windows.body.shape[:-1], bars + 1), dtype=np.int64)
    np.cumsum(windows.body, axis=-1, out=counts[..., 1:])
    found = counts[..., rows:] - counts[..., : bars + 1 - rows]
    return found if ufunc is np.add else found > 0 if ufunc is np.logical_or else found == rows


class Windows(Panel):
    """The windows of some rows that end at the newest bars of a series, oldest first, as the series of a panel.

    Args:
        interval: of the series.
        symbols: of each window.
        rows: bars in a window.
        time: start of each bar, int64 of shape (bars,), at least ``rows`` of them.
        fields: values by name, float64 of shape (bars,).
        as_of: the moment that stands for 'now', for each window.
        totals: sums over every symbol, for each window, by field.
    """

    def __init__(
        self,
        interval: str,
        symbols: Sequence[str],
        rows: int,
        time: Ints,
        fields: Mapping[str, Floats],
        as_of: Ints,
        totals: Mapping[str, Floats],
    ) -> None:
        width = len(time) - rows + 1
        super().__init__(
            intervals=[interval] * width,
            as_of=as_of,
            symbols=symbols,
            lengths=np.full(width, rows),
            time=Sliding.over(time, rows),
            fields={name: Sliding.over(values, rows) for name, values in fields.items()},
            totals=totals,
        )

    def by_interval(self, value: Callable[[str], Any]) -> Array:
        """What a function of the interval's name says of each series; shape (series,)."""
        return np.full(self.series, value(self.intervals[0]))

    def as_panel(self) -> Panel:
        """The same windows as a panel of ordinary series."""
        return Panel(
            intervals=self.intervals,
            as_of=self.as_of,
            symbols=self.symbols,
            lengths=self.lengths,
            time=np.asarray(self.time).view(np.ndarray),
            fields={name: values.view(np.ndarray) for name, values in self.fields.items()},
            totals=self.totals,
        )
