"""How a value came about: the bars, the intermediate series, the formula with its numbers.

The indicator's own function says what its values are made of, while it computes them (``Panel.note``), and a statement
by its common table expressions: there is no second definition that could say otherwise.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ...indicators import evaluate
from ...indicators.defects import DEFECTS
from ...indicators.kinds import TEXT
from ...indicators.profiles import PARITY, PROFILES
from ..base.duck import open_duckdb
from ..base.errors import NoCandlesError, UsageError
from ..base.intervals import moment
from ..compute.pivot import nullable
from ..compute.sql import SqlIndicators
from ..reading import arranged, new_record, read
from ..source.reader import Source
from ..source.symbols import meant, symbols_to_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ...indicators.contract import Array, Column, Indicator, Panel
    from ...indicators.defects import Defect
    from ..compute.pivot import Pivot
    from ..settings import Settings

#: Significant digits of a number within a formula.
_DIGITS = 10
#: What all rows of a statement's steps have alike.
_KEYS = ("series", "interval", "symbol", "n")


@dataclass(frozen=True)
class Value:
    """A value of a column.

    Attributes:
        column: its declaration.
        label: what the result database calls it.
        value: at full precision, as the work file has it; None: NULL.
        stored: as the result database has it.
        english: of words, what they mean.
    """

    column: Column
    label: str
    value: Any
    stored: Any
    english: str | None


@dataclass(frozen=True)
class Step:
    """A part of the formula, and the same with the numbers of the newest bar where there are some."""

    text: str
    numbers: str | None
    result: float | None


@dataclass(frozen=True)
class Explanation:
    """Everything that one value of an indicator came from.

    Attributes:
        indicator: its declaration.
        symbol: the symbol.
        interval: the interval.
        as_of: what the run looks from.
        needed: bars from which there are values.
        values: of each column.
        formula: the steps of the computation.
        bars: all rows that were seen, the newest last: ``bucket_ts``, what the indicator reads of them, and the series
            that it noted, NULL where these do not reach.
        notes: numbers of the newest bar that are no series.
        steps: of an indicator written in SQL, the rows of each common table expression, by its name.
        other_profile: the profile that was not asked for.
        other_values: the values that it has, by column.
        defects: of the replaced service, those that concern the indicator: the profile ``parity`` has them.
    """

    indicator: Indicator
    symbol: str
    interval: str
    as_of: datetime
    profile: str
    needed: int
    values: list[Value]
    formula: list[Step]
    bars: pa.Table
    notes: Mapping[str, Any]
    steps: Mapping[str, pa.Table]
    other_profile: str
    other_values: Mapping[str, Any]
    defects: Sequence[Defect]

    @property
    def newest(self) -> datetime:
        """Start of the bar that the values are of."""
        found: datetime = self.bars["bucket_ts"][-1].as_py()
        return found


def explain(settings: Settings) -> Explanation:
    """The newest value of an indicator for a symbol, with all that it came from.

    Args:
        settings: the source, one symbol, one interval, one indicator, as of when, in which profile.

    Raises:
        SourceError: the source cannot be read.
        NoCandlesError: the symbol has no candles, or no metrics.
        UsageError: the indicator has no rows at this interval, or several symbols were given.
    """
    [declared], [interval] = settings.indicators, settings.intervals
    if not declared.covers(interval.name):
        raise UsageError(f"{declared.id} has no rows at {interval.name}, only at {', '.join(declared.intervals)}")
    record = new_record(settings)
    source = Source.connect(settings.source, record)
    symbols = symbols_to_read(settings, source)
    if symbols is None or len(symbols) != 1:
        raise UsageError(f"explain takes one symbol, {settings.symbols} are several")
    market = arranged(read(source, settings, symbols, interval, record), settings)
    pivot = market.bars if declared.source == "candles" else market.metrics
    if pivot is None or not pivot.panel.series:
        known = source.symbols(settings.exchange, settings.intervals, settings.as_of, settings.lookback)
        what = "candles" if declared.source == "candles" or not market.bars.panel.series else "futures metrics"
        hint = "" if symbols[0] in known else meant(symbols, known)
        raise NoCandlesError(
            f"no {what} for {symbols[0]} at {interval.name} before {settings.as_of.isoformat()}: "
            f"{hint or 'check --interval, --exchange and --as-of'}"
        )
    profile = settings.profile
    panel, notes = pivot.panel.noting()
    cells, steps = _computed(declared, pivot, panel, profile)
    [other] = [name for name in PROFILES if name != profile]
    others, _ = _computed(declared, pivot, pivot.panel, other)
    series, single = _sorted(notes, panel)
    known_numbers = {name: float(panel.fields[name][-1, 0]) for name in declared.inputs}
    known_numbers |= _numbers({value.column.name: value.value for value in cells})
    for table in steps.values():
        if table.num_rows == 1:
            known_numbers |= _numbers(table.to_pylist()[0])
    known_numbers |= {name: float(values[-1]) for name, values in series.items()}
    known_numbers |= _numbers(single)
    return Explanation(
        indicator=declared,
        symbol=symbols[0],
        interval=interval.name,
        as_of=settings.as_of,
        profile=profile,
        needed=_needed(declared, interval.name, profile),
        values=cells,
        formula=[_step(part, known_numbers) for part in _formula(declared, profile)],
        bars=_table(declared, panel, series),
        notes=single,
        steps=steps,
        other_profile=other,
        other_values={value.column.name: value.value for value in others},
        defects=[defect for defect in DEFECTS if declared.id in defect.indicators],
    )


def _computed(declared: Indicator, pivot: Pivot, panel: Panel, profile: str) -> tuple[list[Value], dict[str, pa.Table]]:
    """The values in a profile, and the steps of the statement where they come from one."""
    steps: dict[str, pa.Table] = {}
    if declared.function(profile) is None:
        with open_duckdb() as connection:
            sql = SqlIndicators(connection)
            sql.load(declared.source, [pivot])
            values = sql.compute(declared, panel, profile=profile)
            steps = {
                name: table.drop_columns([key for key in _KEYS if key in table.column_names])
                for name, table in sql.steps(declared, profile=profile).items()
            }
    else:
        evaluate.expect(panel, [declared])
        values = evaluate.compute(declared, panel, profile=profile)
    return [_value(declared, cell) for cell in evaluate.finish(declared, panel, values, profile=profile)], steps


def _needed(declared: Indicator, interval: str, profile: str) -> int:
    return declared.stored.bars_needed(interval) if profile == PARITY else declared.bars_needed(profile=profile)


def _value(declared: Indicator, cell: evaluate.Cells) -> Value:
    column = cell.column
    [value] = cell.arrow().to_pylist()
    rounding = declared.stored.rounding.get(column.name)
    [stored] = column.kind.written(cell.arrow(), rounding).to_pylist()
    english = None
    if column.kind is TEXT and value is not None:
        words = value.split(",") if column.listed else [value]
        english = ", ".join(column.words.get(word, word) for word in words)
    return Value(column, declared.label(column), value, stored, english)


def _sorted(notes: Mapping[str, Array], panel: Panel) -> tuple[dict[str, Array], dict[str, Any]]:
    """What was noted: series with a value for each of the newest bars, and numbers of the newest bar."""
    series, single = {}, {}
    for name, values in notes.items():
        array = np.asarray(values)
        if array.ndim == 2:
            series[name] = array[-panel.rows :, 0].astype(np.float64)
        else:
            value = array.reshape(-1)[0].item()
            single[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return series, single


def _table(declared: Indicator, panel: Panel, series: Mapping[str, Array]) -> pa.Table:
    columns: dict[str, Any] = {"bucket_ts": pa.array(panel.time[:, 0]).cast(pa.timestamp("us", "UTC"))}
    columns |= {name: nullable(np.ascontiguousarray(panel.fields[name][:, 0])) for name in declared.inputs}
    for name, values in series.items():
        whole = np.full(panel.rows, np.nan)
        whole[panel.rows - len(values) :] = values
        columns[name] = nullable(whole)
    return pa.table(columns)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _formula(declared: Indicator, profile: str) -> list[str]:
    """What a profile computes, step by step."""
    function = declared.variants.get(profile)
    steps = [part.strip() for part in declared.formula.split(";")]
    # A variant says itself what it does otherwise.
    return [*steps, " ".join((function.__doc__ or "").split())] if callable(function) else steps


_CLAUSE = re.compile(r"(?P<name>[A-Za-z]\w*) = (?P<right>.+)")
#: A name within what a function is given stays a name: the function wants a series.
_NAME = re.compile(r"\w+\((?:[^()]|\([^()]*\))*\)|[A-Za-z_]\w*")

#: In a formula a product is two factors side by side, which numbers could not be.
_PRODUCT = re.compile(r"(?<=[\d)]) (?=[\d(])")


def _step(text: str, known: Mapping[str, float]) -> Step:
    """A part of the formula, with the numbers in the places of the names that have one."""
    clause = _CLAUSE.fullmatch(text)
    right = clause["right"] if clause else text

    def number(match: re.Match[str]) -> str:
        found = known.get(match[0])
        if found is None:
            return match[0]
        written = f"{found:.{_DIGITS}g}"
        return f"({written})" if written.startswith("-") else written

    # Of a sentence nothing is replaced: there a word is a word.
    words = [word for word in re.findall(r"[A-Za-z_]\w*", re.sub(r"\w+\([^)]*\)", "", right)) if word not in known]
    filled = right if words else _PRODUCT.sub(" x ", _NAME.sub(number, right))
    result = known.get(clause["name"]) if clause else None
    return Step(text, filled if filled != right else None, result)


def as_dict(found: Explanation) -> dict[str, Any]:
    """All of an explanation as JSON takes it, but for the types of times and numbers."""
    return {
        "symbol": found.symbol,
        "interval": found.interval,
        "indicator": found.indicator.id,
        "title": found.indicator.title,
        "profile": found.profile,
        "as_of": found.as_of,
        "bucket_ts": found.newest,
        "bars_seen": found.bars.num_rows,
        "bars_needed": found.needed,
        "parameters": dict(found.indicator.parameters),
        "formula": [vars(step) for step in found.formula],
        "values": [
            {
                "column": value.column.name,
                "label": value.label,
                "value": value.value,
                "stored": value.stored,
                "english": value.english,
                "unit": value.column.unit,
                "meaning": value.column.meaning,
                found.other_profile: found.other_values[value.column.name],
            }
            for value in found.values
        ],
        "notes": dict(found.notes),
        "defects_of_the_service": [vars(defect) for defect in found.defects],
        "bars": found.bars.to_pylist(),
        "statement_steps": {name: table.to_pylist() for name, table in found.steps.items()},
    }


def oldest(found: Explanation) -> datetime:
    """Start of the oldest bar that was seen."""
    [first] = found.bars["bucket_ts"].slice(0, 1).to_pylist()
    return first if first is not None else moment(0)


def described(found: Explanation) -> Iterator[str]:
    """The lines that say what was computed, from what."""
    declared = found.indicator
    yield f"{declared.title} ({declared.id}) of {found.symbol} at {found.interval}, profile {found.profile}"
    yield f"bar {found.newest.isoformat()}, seen as of {found.as_of.isoformat()}"
    rows = "bars" if declared.source == "candles" else "metrics rows"
    yield (
        f"{found.bars.num_rows} {rows} from {oldest(found).isoformat()} on, of which it needs {found.needed}; "
        f"it reads {', '.join(declared.inputs) or 'their times'}"
    )
    if declared.parameters:
        yield "parameters: " + ", ".join(f"{name} = {value}" for name, value in declared.parameters.items())
