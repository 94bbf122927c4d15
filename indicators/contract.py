"""The nouns of the computation: a panel of series, an indicator, its columns and its values.

A *series* is the bars of one symbol at one interval. A *panel* holds all series of an interval as float64 arrays of
shape (bars, series), and everything in this package computes on panels: over all series at once.

Alignment. Series differ in length, so a panel is aligned at its newest row and padded with NaN above a series' first
bar, and its columns are ordered by falling length:

* row -1 is the newest bar of every series, so a window over the last k bars is the slice ``[-k:]``, a view;
* the series that have begun by row t are a prefix ``[:k]`` of the columns, so a recursion that starts at each series'
  own first bar runs over contiguous slices, without masks and without touching the padding.

An indicator computes the *newest* value of each series, nothing else. A history needs no second definition: the value
at bar t of a live run is the value over the bars that end at t, and the windows that end at each t are series of a
panel like any other (overlapping views of the same memory).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Array: TypeAlias = NDArray[Any]

#: A moment that is not there, in an array of microseconds since the epoch (what NumPy calls NaT).
NO_MOMENT = np.iinfo(np.int64).min
#: A text that is not there.
NO_TEXT: Array = np.array(None)

BAR_FIELDS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
METRIC_FIELDS = (
    "open_interest",
    "open_interest_value",
    "top_trader_account_ratio",
    "top_trader_position_ratio",
    "global_account_ratio",
    "taker_volume_ratio",
    "is_closed",
)


@dataclass(frozen=True, eq=False)
class Panel:
    """All series of one interval, aligned at the newest row (see the module's docstring).

    Attributes:
        interval: name of the interval, such as ``5m``.
        as_of: the moment that stands for 'now', microseconds since the epoch, UTC.
        symbols: one per column.
        lengths: bars of each series, shape (series,), never rising from column to column.
        time: start of each bar in microseconds since the epoch, shape (bars, series); 0 in the padding.
        fields: the values by name, float64 of shape (bars, series), NaN in the padding and where the source has NULL.

        totals: sums over every symbol of the source, selected or not, by field; one that is unknown is not there.

    All arrays are read-only. Raises ValueError where shapes disagree or lengths rise.
    """

    interval: str
    as_of: int
    symbols: Sequence[str]
    lengths: Ints
    time: Ints
    fields: Mapping[str, Floats]
    totals: Mapping[str, float] = field(default_factory=dict)
    _shared: dict[Any, Array] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        shape = (self.rows, len(self.symbols))
        if self.time.shape != shape or self.lengths.shape != shape[1:]:
            raise ValueError(
                f"panel {self.interval}: time {self.time.shape}, lengths {self.lengths.shape}, want {shape}"
            )
        if (np.diff(self.lengths) > 0).any():
            raise ValueError(f"panel {self.interval}: the series are not ordered by falling length")
        for name, values in self.fields.items():
            if values.shape != shape:
                raise ValueError(f"panel {self.interval}: {name} has shape {values.shape}, want {shape}")
        for array in (self.lengths, self.time, *self.fields.values()):
            array.flags.writeable = False

    def __getattr__(self, name: str) -> Floats:
        """The field of that name (``bars.close``), shape (bars, series)."""
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"the panel has no field {name!r}; it has {', '.join(fields)}")

    @property
    def rows(self) -> int:
        """Number of rows: the length of the longest series."""
        return len(self.time)

    @property
    def series(self) -> int:
        """Number of series, the panel's columns."""
        return len(self.symbols)

    @cached_property
    def first(self) -> Ints:
        """Row of each series' first bar, shape (series,), never falling from column to column."""
        return self.rows - self.lengths

    @property
    def newest_time(self) -> Ints:
        """Time of each series' newest bar, microseconds since the epoch, shape (series,)."""
        newest: Ints = self.time[-1]
        return newest

    def shared(self, key: tuple[Any, ...], compute: Callable[[], Array]) -> Array:
        """Result of ``compute``, made once per panel: what several indicators need stands under one key."""
        if key not in self._shared:
            value = compute()
            value.flags.writeable = False
            self._shared[key] = value
        return self._shared[key]

    def select(self, columns: Sequence[int]) -> Panel:
        """Panel of some series, in the panel's order; rows that no remaining series uses are cut off."""
        chosen = sorted(columns)
        cut = self.rows - int(self.lengths[chosen].max())
        return Panel(
            interval=self.interval,
            as_of=self.as_of,
            symbols=[self.symbols[c] for c in chosen],
            lengths=self.lengths[chosen],
            time=self.time[cut:, chosen],
            fields={name: values[cut:, chosen] for name, values in self.fields.items()},
            totals=self.totals,
        )


class Values:
    """What an indicator computes: one array of shape (series,) per declared column, in the declared order.

    Args:
        columns: float64, int64 or text arrays. NaN, infinity, NO_MOMENT and None mean NULL.
        defined: where it is False the series has too little to say and gets a row without values.
    """

    def __init__(self, *columns: Array, defined: Bools | None = None) -> None:
        self.columns = columns
        self.defined = defined


Kind: TypeAlias = Literal["real", "integer", "text", "time"]
Mode: TypeAlias = Literal["incremental", "batch"]
Source: TypeAlias = Literal["candles", "metrics"]


@dataclass(frozen=True)
class Rounding:
    """How a value is rounded on its way to SQLite (``indicators.rounding`` does it).

    Attributes:
        decimals: decimals kept.
        significant: where set, values that round to less than 1 keep that many significant digits.
        scaled: round the product with 10^decimals instead of the exact binary value; they differ at ties only.
    """

    decimals: int
    significant: int | None = None
    scaled: bool = False

    def __str__(self) -> str:
        floor = f" or {self.significant} significant digits" if self.significant else ""
        return f"{self.decimals} decimals{floor}"


@dataclass(frozen=True)
class Column:
    """One column of an indicator: its name in SQLite, its English name, and what its numbers mean."""

    label: str
    name: str
    meaning: str
    kind: Kind
    unit: str
    rounding: Rounding | None = None


def price(label: str, name: str, meaning: str, *, rounded: Literal["exact", "scaled"] | None = None) -> Column:
    """A price or a difference of prices, in quote currency; where rounded, to 6 decimals or 6 significant digits.

    A price below 1 keeps six significant digits: six decimals would leave a sub-cent coin with one or two.
    """
    rounding = Rounding(6, significant=6, scaled=rounded == "scaled") if rounded else None
    return Column(label, name, meaning, "real", "price", rounding)


def number(
    label: str, name: str, meaning: str, *, unit: str, decimals: int | None = None, scaled: bool = False
) -> Column:
    """A REAL in ``unit`` (base, quote, percent, ratio, fraction, score …), rounded where ``decimals`` says so."""
    return Column(label, name, meaning, "real", unit, None if decimals is None else Rounding(decimals, scaled=scaled))


def integer(label: str, name: str, meaning: str, *, unit: str = "count") -> Column:
    """An INTEGER: a count, a flag or a state."""
    return Column(label, name, meaning, "integer", unit)


def text(label: str, name: str, meaning: str) -> Column:
    """A TEXT out of a fixed vocabulary that readers compare literally."""
    return Column(label, name, meaning, "text", "category")


def moment(label: str, name: str, meaning: str) -> Column:
    """A point in time: microseconds since the epoch here, ISO 8601 in SQLite, TIMESTAMPTZ in the work file."""
    return Column(label, name, meaning, "time", "time")


_ENGLISH = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, eq=False)
class Indicator:
    """Everything there is to say about one indicator; schema, catalogue, commands, docs and tests derive from it.

    Attributes:
        id: English name: of the command line, of the table in the work file, of the SQL file if it is one.
        table: name of the table in SQLite.
        title: what traders call it.
        family: trend, momentum, volatility, volume, structure, pattern, futures or quality.
        mode: which of the two passes of the service this replaces computed it.
        lookback: bars that the formula was laid out for; fewer than half of them give no value.
        min_bars: bars below which the formula itself has no value.
        min_bars_at: other such minima, by interval.
        inputs: fields of the panel it reads.
        columns: in the order of the SQLite table, after the three key columns.
        formula: the computation in a line.
        source: which panel it is computed on.
        intervals: the only intervals it has rows for; empty: all.
        short: texts (or numbers) of a row without values, by label, from ``lookback // 2`` bars on.
        compute: the pure function; None for an indicator written in SQL, ``sql/indicators/<id>.sql``.
    """

    id: str
    table: str
    title: str
    family: str
    mode: Mode
    lookback: int
    min_bars: int
    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    formula: str
    source: Source = "candles"
    intervals: tuple[str, ...] = ()
    min_bars_at: Mapping[str, int] = field(default_factory=dict)
    short: Mapping[str, str | int] = field(default_factory=dict)
    compute: Callable[[Panel], Values] | None = None

    def __post_init__(self) -> None:
        known = BAR_FIELDS if self.source == "candles" else METRIC_FIELDS
        names = [c.name for c in self.columns]
        labels = [c.label for c in self.columns]
        for ok, complaint in (
            (all(_ENGLISH.fullmatch(n) for n in (self.id, *names)), "ids and names are English snake_case"),
            (len(set(names)) == len(names) and len(set(labels)) == len(labels), "column names repeat"),
            (set(self.inputs) <= set(known), f"inputs are among {', '.join(known)}"),
            (set(self.short) <= set(labels), "short rows fill declared columns only"),
            (self.lookback >= 1 and self.min_bars >= 1 and self.columns, "lookback, min_bars and columns are set"),
        ):
            if not ok:
                raise ValueError(f"indicator {self.id}: {complaint}")

    def bars_needed(self, interval: str | None = None) -> int:
        """Bars from which a series gets values, at one interval or in general."""
        return max(self.lookback // 2, self.min_bars_at.get(interval or "", self.min_bars))

    def covers(self, interval: str) -> bool:
        """Whether the indicator has rows for this interval."""
        return not self.intervals or interval in self.intervals


def indicator(**declaration: Any) -> Callable[[Callable[[Panel], Values]], Indicator]:
    """Declare the decorated pure function as an indicator; the arguments are those of ``Indicator``."""

    def declare(function: Callable[[Panel], Values]) -> Indicator:
        return Indicator(compute=function, **declaration)

    return declare
