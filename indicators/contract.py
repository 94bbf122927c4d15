"""The nouns of the computation: a panel of series, an indicator, its parameters, columns and values.

A *series* is the bars of one symbol at one interval. A *panel* holds series, of any intervals, as float64 arrays of
shape (bars, series), and everything in this package computes on panels: over all series at once.

Alignment. Series differ in length, so a panel is aligned at its newest row and padded with NaN above a series' first
bar, and its columns are ordered by falling length:

* row -1 is the newest bar of every series, so a window over the last k bars is the slice ``[-k:]``, a view;
* the series that have begun by row t are a prefix ``[:k]`` of the columns, so a recursion that starts at each series'
  own first bar runs over contiguous slices, without masks and without touching the padding.

An indicator computes the *newest* value of each series, nothing else. A history needs no second definition: the value
at bar t of a live run is the value over the bars that end at t, and the windows that end at each t are series of a
panel like any other (``windows``: overlapping views of the same memory).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from .fields import BAR_FIELDS, METRIC_FIELDS
from .kinds import INTEGER, NO_MOMENT, REAL, TEXT, TIME, Array, Bools, Coded, Floats, Ints, Kind
from .profiles import PARITY, PROFILES
from .roles import LEVEL, LINE, STRIP, Role
from .rounding import Rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = [
    "BAR_FIELDS", "FAMILIES", "METRIC_FIELDS", "NO_MOMENT", "Array", "Bools",
    "Coded", "Column", "Floats", "Indicator", "Ints", "Panel", "Parameters", "Rounding", "Stored", "Values",
    "difference", "indicator", "integer", "moment", "number", "price", "text",
]  # fmt: skip

#: In the order in which catalogues list them.
FAMILIES = ("trend", "momentum", "volatility", "volume", "structure", "pattern", "futures", "quality")

Mode: TypeAlias = Literal["incremental", "batch"]
Source: TypeAlias = Literal["candles", "metrics"]


def _read_only(array: Array) -> Array:
    """A view that cannot be written through; the caller's own array stays as it is."""
    if not array.flags.writeable:
        return array
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Panel:
    """Series of bars, or of metrics rows, aligned at the newest row (see the module's docstring).

    Attributes:
        intervals: name of each series' interval, such as ``5m``.
        as_of: the moment that stands for 'now', microseconds since the epoch, UTC; or one for each series, int64 of
            shape (series,).
        symbols: one per series.
        lengths: bars of each series, int64 of shape (series,), never rising from column to column.
        time: start of each bar in microseconds since the epoch, int64 of shape (bars, series); 0 in the padding.
        fields: the values by name, float64 of shape (bars, series), NaN in the padding and where the source has NULL.
        totals: sums over every symbol of the source, selected or not, by field: float64 of shape (series,), NaN where
            the sum is unknown.

    All arrays of a panel are read-only views. Raises ValueError where shapes or types disagree, or lengths rise.
    """

    intervals: Sequence[str]
    as_of: int | Ints
    symbols: Sequence[str]
    lengths: Ints
    time: Ints
    fields: Mapping[str, Floats]
    totals: Mapping[str, Floats] = field(default_factory=dict)
    _shared: dict[Any, Array] = field(default_factory=dict, repr=False)
    _expected: dict[Any, tuple[int, ...]] = field(default_factory=dict, repr=False)
    _notes: dict[str, Array] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = (self.rows, len(self.symbols))
        wanted: list[tuple[str, Array, type, tuple[int, ...]]] = [
            ("time", self.time, np.int64, shape),
            ("lengths", self.lengths, np.int64, shape[1:]),
        ]
        wanted += [(name, values, np.float64, shape) for name, values in self.fields.items()]
        wanted += [(f"the total of {name}", values, np.float64, shape[1:]) for name, values in self.totals.items()]
        for name, array, dtype, form in wanted:
            if array.shape != form:
                raise ValueError(f"a panel's {name} has shape {array.shape}, want {form}")
            if array.dtype != dtype:
                raise ValueError(f"a panel's {name} is {array.dtype}, want {np.dtype(dtype)}")
        if len(self.intervals) != len(self.symbols):
            raise ValueError(f"a panel of {len(self.symbols)} series has {len(self.intervals)} intervals")
        if (np.diff(self.lengths) > 0).any():
            raise ValueError("a panel's series are not ordered by falling length")
        for name in ("time", "lengths"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))
        for name in ("fields", "totals"):
            views = {key: _read_only(values) for key, values in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(views))

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
        newest: Ints = self.time[-1] if self.rows else np.zeros(self.series, dtype=np.int64)
        return newest

    def by_interval(self, value: Callable[[str], Any]) -> Array:
        """What a function of the interval's name says of each series; shape (series,)."""
        values = {name: value(name) for name in dict.fromkeys(self.intervals)}
        return np.array([values[name] for name in self.intervals])

    def shared(self, key: tuple[Any, ...], compute: Callable[[], Array]) -> Array:
        """Result of ``compute``, made once per panel: what several indicators need stands under one key."""
        if key not in self._shared:
            self._shared[key] = _read_only(compute())
        return self._shared[key]

    def expect(self, kernel: object, periods: Iterable[int]) -> None:
        """Say which periods of a kernel will be asked for, so that it can compute all of them at once."""
        known = self._expected.get(kernel, ())
        self._expected[kernel] = (*known, *(period for period in dict.fromkeys(periods) if period not in known))

    def expected(self, kernel: object, period: int) -> tuple[int, ...]:
        """The periods of a kernel to compute together with one: those that were said, if it is among them."""
        known = self._expected.get(kernel, ())
        return known if period in known else (period,)

    def note(self, **series: Array) -> None:
        """Hand what a value is made of to whoever explains it (``noting``); otherwise nothing happens.

        An indicator calls it with what it has computed anyway, under the names that its formula has: arrays of shape
        (rows, series), whose last row is that of the newest bar, or of shape (series,), of the newest bar alone.
        """
        if self._notes is not None:
            self._notes.update(series)

    def noting(self) -> tuple[Panel, dict[str, Array]]:
        """The same panel, with nothing shared yet, and what indicators note of it."""
        panel, notes = replace(self, _shared={}, _expected={}), dict[str, Array]()
        object.__setattr__(panel, "_notes", notes)
        return panel, notes

    def only(self, names: Sequence[str]) -> Panel:
        """The same panel with some of its fields; what is shared stays shared."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part.__dict__["fields"] = MappingProxyType({n: v for n, v in self.fields.items() if n in names})
        return part

    def select(self, columns: Sequence[int]) -> Panel:
        """Panel of some series, in the panel's order; rows that no remaining series uses are cut off."""
        chosen = sorted(columns)
        cut = self.rows - int(self.lengths[chosen].max())
        return Panel(
            intervals=[self.intervals[c] for c in chosen],
            as_of=self.as_of if isinstance(self.as_of, int) else self.as_of[chosen],
            symbols=[self.symbols[c] for c in chosen],
            lengths=self.lengths[chosen],
            time=self.time[cut:, chosen],
            fields={name: values[cut:, chosen] for name, values in self.fields.items()},
            totals={name: values[chosen] for name, values in self.totals.items()},
        )


class Values:
    """What an indicator computes: one array of shape (series,) per declared column, in the declared order.

    Args:
        columns: float64, int64 or text arrays, or coded texts. NaN, infinity, NO_MOMENT and None mean NULL.
        defined: where it is False the series has too little to say and gets a row without values.
    """

    def __init__(self, *columns: Array | Coded, defined: Bools | None = None) -> None:
        self.columns = columns
        self.defined = defined


class Parameters:
    """Values of an indicator's parameters by name: ``p.period``. Raises AttributeError for a name it does not have."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = MappingProxyType(dict(values))

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        raise AttributeError(f"there is no parameter {name!r}; there are {', '.join(values) or 'none'}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameters) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"Parameters({dict(self._values)})"

    def as_dict(self) -> dict[str, Any]:
        """All of them by name."""
        return dict(self._values)


@dataclass(frozen=True)
class Column:
    """One column of an indicator: its English name, and what its values mean.

    Attributes:
        role: what a picture makes of it.
        words: of a text, every value it can have and the value in English. Readers compare them literally.
        listed: whether a value is a comma list of words.
        free: whether a text is no category, such as a list of prices.
        lasting: words that hold at every bar until another takes their place.
    """

    name: str
    meaning: str
    kind: Kind
    unit: str
    role: Role = LINE
    words: Mapping[str, str] = field(default_factory=dict)
    listed: bool = False
    free: bool = False
    lasting: frozenset[str] = frozenset()


def price(name: str, meaning: str, *, role: Role = LEVEL) -> Column:
    """A price, in quote currency."""
    return Column(name, meaning, REAL, "price", role)


def difference(name: str, meaning: str, *, role: Role = LINE) -> Column:
    """A difference of prices, in quote currency: a range, a width, a slope."""
    return Column(name, meaning, REAL, "price", role)


def number(name: str, meaning: str, *, unit: str, role: Role = LINE) -> Column:
    """A REAL in a unit: base, quote, percent, ratio, fraction, score or the like."""
    return Column(name, meaning, REAL, unit, role)


def integer(name: str, meaning: str, *, unit: str = "count", role: Role = LINE) -> Column:
    """An INTEGER: a count, a flag or a state."""
    return Column(name, meaning, INTEGER, unit, role)


def text(
    name: str,
    meaning: str,
    words: Mapping[str, str] | Sequence[str] = (),
    *,
    role: Role = STRIP,
    listed: bool = False,
    free: bool = False,
    lasting: Iterable[str] = (),
) -> Column:
    """A TEXT out of a fixed vocabulary; ``words`` gives each value its English, or are English themselves."""
    english = MappingProxyType(dict(words if isinstance(words, Mapping) else {word: word for word in words}))
    return Column(name, meaning, TEXT, "category", role, english, listed, free, frozenset(lasting))


def moment(name: str, meaning: str) -> Column:
    """A point in time: microseconds since the epoch here, ISO 8601 in SQLite, TIMESTAMPTZ in the work file."""
    return Column(name, meaning, TIME, "time")


#: A price of a new indicator. One below 1 keeps six significant digits: six decimals would leave a sub-cent coin with
#: one or two.
PRICE_ROUNDING = Rounding(6, significant=6)


@dataclass(frozen=True)
class Stored:
    """How an indicator stands in the result database.

    Attributes:
        table: name of its table.
        labels: name of each column there, by the column's English name, in the order of the declaration.
        mode: which of the two passes of the replaced service computed it.
        lookback: bars that the replaced service laid the formula out for; fewer than half of them give no value.
        min_bars: other bars from which there are values: a number, or one by interval with ``""`` for all others.
        rounding: of the columns that are rounded, by English name.
        short: texts and numbers of a row without values, by English name, from ``lookback // 2`` bars on.
    """

    table: str
    labels: Mapping[str, str]
    mode: Mode = "batch"
    lookback: int = 1
    min_bars: int | Mapping[str, int] = 1
    rounding: Mapping[str, Rounding] = field(default_factory=dict)
    short: Mapping[str, str | int] = field(default_factory=dict)

    def bars_needed(self, interval: str) -> int:
        """Bars from which a series of an interval gets values."""
        least = self.min_bars if isinstance(self.min_bars, int) else self.min_bars.get(interval, self.min_bars[""])
        return max(self.lookback // 2, least)


_ENGLISH = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, eq=False)
class Indicator:
    """Everything there is to say about one indicator; schema, catalogue, commands, docs and tests derive from it.

    Attributes:
        id: English name: of the command line, of the table in the work file, of the SQL file if it is one.
        title: what traders call it.
        family: one of FAMILIES.
        inputs: fields of the panel it reads.
        columns: in the order of its tables, after the key columns.
        formula: the computation in a line.
        min_bars: bars from which the formula has values: a number, or a function of the parameters.
        parameters: names and defaults.
        source: which panel it is computed on.
        intervals: the only intervals it has rows for; empty: all.
        window: newest bars that its SQL reads, newest metrics rows that it wants; None: ``min_bars``.
        totals: fields whose sums over the whole market it reads.
        shares: kernels that compute several periods at once, each with the names of the parameters it takes.
        by_price: of one with a profile at the price axis, the function that draws it: of a panel of one series and the
            parameters, the edges of the price bins, shape (bins + 1,), and the amount in each, shape (bins,).
        variants: other functions of the same columns, by profile; SQL ones are True and stand in
            ``sql/indicators/<id>.<profile>.sql``.
        minima: ``min_bars`` of profiles that have others.
        variant_words: words of texts that variants alone say, with their English, by column.
        compute: the pure function of a panel, and of the parameters where there are any; None: it is written in SQL,
            ``sql/indicators/<id>.sql``.
        stored: how it stands in the result database.

    Raises ValueError where the parts of a declaration do not go together, with what to do about it.
    """

    id: str
    title: str
    family: str
    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    formula: str
    min_bars: int | Callable[[Parameters], int] = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: Source = "candles"
    intervals: tuple[str, ...] = ()
    window: int | None = None
    totals: tuple[str, ...] = ()
    shares: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)
    by_price: Callable[[Panel, Parameters], tuple[Floats, Floats]] | None = None
    variants: Mapping[str, Callable[..., Values] | Literal[True]] = field(default_factory=dict)
    minima: Mapping[str, int | Callable[[Parameters], int]] = field(default_factory=dict)
    variant_words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    compute: Callable[..., Values] | None = None
    stored: Stored = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.stored is None:
            object.__setattr__(self, "stored", self._as_new())
        known = BAR_FIELDS if self.source == "candles" else METRIC_FIELDS
        names = [column.name for column in self.columns]
        labels = list(self.stored.labels.values())
        vague = [c.name for c in self.columns if c.kind is TEXT and not c.free and not c.words]
        texts = {column.name for column in self.columns if column.kind is TEXT}
        sides = {column.role.side for column in self.columns if column.role.side}
        profiled = {column.role.shape for column in self.columns} & {"control", "area_high", "area_low"}
        unused = [name for kernel in self.shares.values() for name in kernel if name not in self.parameters]
        for ok, complaint in (
            (all(_ENGLISH.fullmatch(n) for n in (self.id, *names)), "ids and names are English snake_case"),
            (self.family in FAMILIES, f"the family {self.family!r} is none of {', '.join(FAMILIES)}"),
            (bool(self.columns), "it has no columns: declare at least one"),
            (len(set(names)) == len(names), "column names repeat: give each its own"),
            (len(set(labels)) == len(labels), "names in the result database repeat: give each column its own"),
            (set(self.inputs) <= set(known), f"inputs of {self.source} are among {', '.join(known)}"),
            (set(self.totals) <= set(self.inputs), "totals are sums of inputs: add them to inputs"),
            (not vague, f"the texts {', '.join(vague)} have no words: list every value with its English, or set free"),
            (sides <= texts, "the side of a line that flips is a text column of the indicator"),
            (self.by_price is not None or not profiled, "a column of a profile needs by_price, which draws it"),
            (not unused, f"shares names {', '.join(unused)}, which parameters does not have"),
            (set(self.variants) <= set(PROFILES), f"variants are of the profiles {', '.join(PROFILES)}"),
            (
                all(made is True or callable(made) for made in self.variants.values()),
                "a variant is a function, or True where it is written in SQL",
            ),
            (PARITY not in self.variants, f"the profile {PARITY} is the declaration's own function, not a variant"),
            (set(self.minima) <= set(self.variants), "minima are of the profiles that it has variants of"),
            (
                set(self.variant_words) <= {c.name for c in self.columns if c.kind is TEXT},
                "variant_words are of its columns of texts",
            ),
            (all(self.bars_needed(profile=name) >= 1 for name in PROFILES), "min_bars is at least 1"),
            (list(self.stored.labels) == names, "its line of names has other columns, or in another order"),
            (
                {*self.stored.rounding, *self.stored.short} <= set(names),
                "its line of names rounds or fills columns that it does not have",
            ),
        ):
            if not ok:
                raise ValueError(f"indicator {self.id}: {complaint}")

    def _as_new(self) -> Stored:
        """Of an indicator that the replaced service does not have: its English names."""
        return Stored(
            table=self.id,
            labels={column.name: column.name for column in self.columns},
            min_bars=self.bars_needed(),
            rounding={column.name: PRICE_ROUNDING for column in self.columns if column.unit == "price"},
        )

    @property
    def table(self) -> str:
        """Name of its table in the result database."""
        return self.stored.table

    @property
    def mode(self) -> Mode:
        """Which of the two passes of the replaced service computed it."""
        return self.stored.mode

    def label(self, column: Column) -> str:
        """Name of a column in the result database."""
        return self.stored.labels[column.name]

    def words(self, column: Column) -> Mapping[str, str]:
        """Every word that a column of texts can have in some profile, and the word in English."""
        return {**column.words, **self.variant_words.get(column.name, {})}

    @property
    def defaults(self) -> Parameters:
        """The parameters where nobody says otherwise."""
        return Parameters(self.parameters)

    def given(self, values: Mapping[str, Any]) -> Parameters:
        """The parameters with some values other than their defaults. Raises ValueError for an unknown one."""
        unknown = [name for name in values if name not in self.parameters]
        if unknown:
            known = ", ".join(self.parameters) or "none"
            raise ValueError(f"indicator {self.id} has no parameter {', '.join(unknown)}; it has {known}")
        return Parameters({**self.parameters, **values})

    def bars_needed(self, parameters: Parameters | None = None, profile: str = PARITY) -> int:
        """Bars from which the formula of a profile has values."""
        least = self.minima.get(profile, self.min_bars)
        return least if isinstance(least, int) else least(parameters or self.defaults)

    def function(self, profile: str = PARITY) -> Callable[..., Values] | None:
        """The pure function that has the values of a profile; None: they are computed in SQL."""
        found = self.variants.get(profile, self.compute)
        return None if found is True else found

    def covers(self, interval: str) -> bool:
        """Whether the indicator has rows for this interval."""
        return not self.intervals or interval in self.intervals

    def bars_read(self, parameters: Parameters | None = None, profile: str = PARITY) -> int:
        """Newest rows of each series that are enough to compute it where it is written in SQL or reads metrics."""
        return self.window or self.bars_needed(parameters, profile)


def indicator(**declaration: Any) -> Callable[[Callable[..., Values]], Indicator]:
    """Declare the decorated pure function as an indicator; the arguments are those of ``Indicator``."""

    def declare(function: Callable[..., Values]) -> Indicator:
        return Indicator(compute=function, **declaration)

    return declare
