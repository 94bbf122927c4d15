"""Rows as CSV, as JSON, as Parquet, and as a table for people."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..base import streams
from ..base.errors import UsageError
from ..base.outputs import output, replacing
from ..base.shown import as_json, visible
from ..workfile.query import Answer
from . import options
from .console import cells, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

#: Significant digits of a number in a table for people. The other forms have all of them.
_DIGITS = 12
_ANY_WIDTH = 1_000_000
#: Values of some hundredths of a second.
_PART_BYTES = 2**20


@dataclass(frozen=True)
class Form:
    """How rows are to be put out: as CSV, as JSON or into a Parquet file; else as a table, of so many rows at most.

    Raises UsageError where more than one form is given.
    """

    csv: bool
    json: bool
    parquet: Path | None = None
    rows: int = options.TABLE_ROWS

    def __post_init__(self) -> None:
        if self.csv + self.json + (self.parquet is not None) > 1:
            raise UsageError("--csv, --json and --parquet are three forms of one result: give one of them")

    @property
    def is_table(self) -> bool:
        """Whether it is the table for people."""
        return not (self.csv or self.json or self.parquet)


def put_out(answer: Answer, form: Form) -> None:
    """Print rows on standard output, or write them into a file. Raises UsageError as ``write_parquet`` does."""
    if form.parquet:
        written = write_parquet(answer, form.parquet)
        say(f"{written} rows in {form.parquet}", err=True)
        return
    # Until whoever reads has had enough, as `head` has.
    wanted = Answer(answer.schema, takewhile(lambda _: streams.lost() is None, answer))
    if form.csv:
        write_csv(wanted, sys.stdout)
    elif form.json:
        write_json(wanted, sys.stdout)
    elif hidden := print_table(wanted, sys.stdout, form.rows):
        say(f"and {hidden} more rows: see them with --rows N, --csv, --json or --parquet", err=True)


def answer_of(table: pa.Table) -> Answer:
    """The rows of a table."""
    return Answer(table.schema, iter(table.to_batches()))


def write_csv(answer: Answer, stream: TextIO) -> None:
    """A line of names, then a line for each row; NULL is empty, lists, structs and maps are JSON."""
    # A terminal obeys some characters; in a file they are those of the data.
    text = _visible if stream.isatty() else _text
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([text(name) for name in answer.schema.names])
    for row in _rows(answer):
        writer.writerow(["" if value is None else text(value) for value in row])


def write_json(answer: Answer, stream: TextIO) -> None:
    """An array of objects, one on a line. What JSON has no number for (NaN, infinity) is null."""
    stream.write("[")
    names = answer.schema.names
    for number, row in enumerate(_rows(answer)):
        fields = {name: plain(value) for name, value in zip(names, row, strict=True)}
        stream.write(f"{',' if number else ''}\n{as_json(fields)}")
    stream.write("\n]\n")


def write_parquet(answer: Answer, path: Path) -> int:
    """A Parquet file with the types of the query; it is there whole or not at all. Returns the rows written.

    Raises UsageError where the file cannot be written, something else stands there, or Parquet cannot hold a column.
    """
    rows = 0
    try:
        file = output(path, "Parquet file", "--parquet")
        with replacing(file) as stream, pq.ParquetWriter(stream, answer.schema) as writer:
            for batch in answer:
                writer.write_batch(batch)
                rows += batch.num_rows
    except OSError as error:
        raise UsageError(f"--parquet {path} cannot be written: {error.strerror}") from error
    except pa.ArrowNotImplementedError as error:
        raise UsageError(f"--parquet cannot hold a column of the query ({error}): cast it to VARCHAR") from error
    return rows


def print_table(answer: Answer, stream: TextIO, limit: int) -> int:
    """A table for people, of at most ``limit`` rows; a block for each row where a terminal is too narrow for it.

    Returns the rows that were not printed.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(file=stream, highlight=False, width=None if stream.isatty() else _ANY_WIDTH)
    table = Table(box=None, header_style="bold", pad_edge=False)
    kept: list[list[Text]] = []
    hidden = 0
    for field in answer.schema:
        number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(*cells(field.name), justify="right" if number else "left", no_wrap=True)
    for row in _rows(answer):
        if len(kept) < limit:
            kept.append([_cell(value) for value in row])
            table.add_row(*kept[-1])
        else:
            hidden += 1
    if console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum > console.width:
        _print_blocks(answer.schema.names, kept, console)
    else:
        console.print(table)
    return hidden


def _print_blocks(names: list[str], rows: list[list[Any]], console: Console) -> None:
    from rich.table import Table

    for number, row in enumerate(rows, 1):
        console.rule(f"row {number}", align="left", style="dim")
        block = Table(box=None, show_header=False, pad_edge=False)
        block.add_column(no_wrap=True, style="bold")
        block.add_column(overflow="fold")
        for name, cell in zip(names, row, strict=True):
            block.add_row(*cells(name), cell)
        console.print(block)


def _cell(value: object) -> Any:
    from rich.text import Text

    if value is None:
        return Text("NULL", style="dim")
    return Text(f"{value:.{_DIGITS}g}" if isinstance(value, float) else _visible(value))


def _rows(answer: Answer) -> Iterator[tuple[Any, ...]]:
    return chain.from_iterable(zip(*_columns(part), strict=True) for batch in answer for part in _parts(batch))


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch in parts of some size: PyArrow makes Python's values of each in one step, in which no signal is heard."""
    rows = max(1, batch.num_rows * _PART_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _columns(batch: pa.RecordBatch) -> list[list[Any]]:
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            columns.append(column.to_pylist(maps_as_pydicts="lossy"))
        except (ValueError, TypeError, OverflowError) as error:
            raise UsageError(f"the column {name} ({column.type}) has no text: cast it to VARCHAR ({error})") from error
    return columns


def _text(value: Any) -> str:
    written = plain(value) if not isinstance(value, float | Decimal) else value
    if isinstance(written, bool):
        return "true" if written else "false"
    return json.dumps(written, ensure_ascii=False) if isinstance(written, dict | list) else str(written)


def _visible(value: Any) -> str:
    return visible(_text(value))


def plain(value: Any) -> Any:
    """The value as JSON has it: times in ISO 8601, intervals as DuckDB writes them, bytes in hexadecimal digits."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case pa.MonthDayNano():
            return _interval(value)
        case dict():
            return {str(plain(key)): plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
    return value


def _interval(value: pa.MonthDayNano) -> str:
    sign = "-" if value.nanoseconds < 0 else ""
    seconds, nanoseconds = divmod(abs(value.nanoseconds), 10**9)
    clock = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fraction = f".{nanoseconds // 1000:06}" if nanoseconds else ""
    parts = [f"{count} {unit}" for count, unit in ((value.months, "months"), (value.days, "days")) if count]
    return " ".join([*parts, clock + fraction] if value.nanoseconds or not parts else parts)
