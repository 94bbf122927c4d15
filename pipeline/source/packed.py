"""Rows that come as one text per symbol: the statement that packs them, and Arrow's reader of CSV, which unpacks them.

PostgreSQL sends, and the reader receives, a message per row. Packed, 80,000 bars come in 200 messages, and reading them
costs a third of the processor time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.statements import Sql, identifier, join, literal, render, statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_TIME = "bucket_ts"
_MISSING = "NaN"
#: Characters that are parsed at a time. A row has fewer, as PostgreSQL's longest number has 147,457.
_BLOCK = 2**21


def packed(rows: Sql, fields: Sequence[str]) -> Sql:
    """The statement that packs rows: those of a query with symbol, bucket_ts and some numeric fields."""
    return render(statement("source/packed"), rows=rows, lines=lines(fields))


def lines(fields: Sequence[str]) -> Sql:
    """The aggregate that makes one text of rows with bucket_ts and some numeric fields: a line per row, as in CSV."""
    time = Sql(f"(date_part('epoch', {_TIME}) * 1000000)::bigint")
    # concat_ws leaves out what is NULL. It looks up once how a type is written, format anew in each row.
    values = [Sql(f"coalesce({identifier(field)}, {literal(_MISSING)})") for field in fields]
    line, newline = Sql(f"concat_ws({join([literal(','), time, *values])})"), literal("\n")
    return Sql(f"string_agg({line}, {newline}) || {newline}")


def packed_schema() -> pa.Schema:
    """The columns of a packed table."""
    import pyarrow as pa

    return pa.schema([("symbol", pa.string()), ("found", pa.int64()), ("lines", pa.string())])


def unpacked(table: pa.Table, fields: Sequence[str]) -> pa.Table:
    """The rows in a packed table: symbol, bucket_ts (UTC) and the fields as doubles, those of a symbol together.

    NaN counts as NULL: sums and extremes over it are those of the other values.
    """
    import numpy as np
    import pyarrow as pa

    from ...indicators.arrow import cast, taken

    moment = pa.timestamp("us", "UTC")
    schema = pa.schema([(_TIME, pa.int64()), *((field, pa.float64()) for field in fields)])
    parts = [_parsed(lines, schema) for lines in table["lines"].chunks]
    # Each column in one piece, to be read where it lies.
    values = pa.concat_tables([part for part in parts if part is not None] or [schema.empty_table()]).combine_chunks()
    symbols = table["symbol"].combine_chunks()
    place = np.repeat(np.arange(len(symbols)), table["found"].to_numpy())
    return pa.table(
        {
            "symbol": taken(symbols, pa.array(place)),
            _TIME: cast(values[_TIME], moment),
            **{field: values[field] for field in fields},
        }
    )


def _parsed(lines: pa.StringArray, schema: pa.Schema) -> pa.Table | None:
    """The numbers in the lines of all symbols, read where they lie; None where there are none."""
    import pyarrow as pa
    from pyarrow import csv

    if not len(lines):
        return None
    _, offsets, characters = lines.buffers()
    # Of the offsets only those of the slice count; the texts stand one behind the other.
    bounds = pa.Array.from_buffers(pa.int32(), len(lines) + 1, [None, offsets], offset=lines.offset)
    begin, end = bounds[0].as_py(), bounds[-1].as_py()
    return csv.read_csv(
        pa.BufferReader(characters.slice(begin, end - begin)),
        read_options=csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=_BLOCK),
        parse_options=csv.ParseOptions(quote_char=False),
        convert_options=csv.ConvertOptions(
            column_types=schema, null_values=[_MISSING], include_columns=schema.names, check_utf8=False
        ),
    )
