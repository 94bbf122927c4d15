"""Rows that come as one text per symbol, unpacked; what the server makes of them is held by the tests of the source."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from candlemill.indicators.fields import BAR_FIELDS
from candlemill.pipeline.base.statements import Sql
from candlemill.pipeline.source.packed import packed, unpacked

FIELDS = ("open", "note")
INF = float("inf")


def received(*symbols: tuple[str | None, list[str]]) -> pa.Table:
    """What the server sends for some symbols, each with its lines."""
    return pa.table(
        {
            "symbol": pa.array([symbol for symbol, _ in symbols], pa.string()),
            "found": pa.array([len(lines) for _, lines in symbols], pa.int64()),
            "lines": pa.array(["".join(f"{line}\n" for line in lines) for _, lines in symbols], pa.string()),
        }
    )


def as_rows(table: pa.Table) -> list[tuple[object, ...]]:
    moments = table["bucket_ts"].cast(pa.int64())
    columns = [table["symbol"], moments, *(table[field] for field in FIELDS)]
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def test_each_line_becomes_a_row_of_its_symbol() -> None:
    table = unpacked(received(("B", ["3000000,1.5,2", "4000000,-2e-3,NaN"]), ("A", ["1,.5,7"])), FIELDS)
    assert as_rows(table) == [("B", 3_000_000, 1.5, 2.0), ("B", 4_000_000, -0.002, None), ("A", 1, 0.5, 7.0)]
    assert table.schema.types == [pa.string(), pa.timestamp("us", "UTC"), pa.float64(), pa.float64()]


def test_nothing_becomes_a_table_without_rows() -> None:
    table = unpacked(received(), FIELDS)
    assert table.num_rows == 0
    assert table.schema == unpacked(received(("A", ["1,2,3"])), FIELDS).schema


@pytest.mark.parametrize(
    ("text", "value"),
    # NaN counts as NULL, as in all that is aggregated by the server.
    [("NaN", None), ("Infinity", INF), ("-Infinity", -INF), ("0.000000000001", 1e-12), ("-0", -0.0)],
)
def test_every_text_of_a_number_is_that_number(text: str, value: float | None) -> None:
    (found,) = unpacked(received(("A", [f"1,{text},2"])), FIELDS)["open"].to_pylist()
    assert repr(found) == repr(value)


def test_a_number_of_38_digits_is_the_nearest_double() -> None:
    digits = "12345678901234567890123456.123456789012"
    (found,) = unpacked(received(("A", [f"1,{digits},2"])), FIELDS)["open"].to_pylist()
    assert found == float(digits)


def test_a_symbol_that_is_null_stays_null() -> None:
    assert as_rows(unpacked(received((None, ["1,2,3"]), ("A", ["2,2,3"])), FIELDS))[0][0] is None


def test_a_symbol_with_commas_quotes_and_line_breaks_is_no_part_of_the_lines() -> None:
    odd = 'A,"B\n'
    assert [row[0] for row in as_rows(unpacked(received((odd, ["1,2,3", "2,2,3"])), FIELDS))] == [odd, odd]


def test_pieces_and_parts_of_a_table_are_unpacked_alike() -> None:
    whole = received(("A", ["1,2,3"]), ("B", ["2,3,4", "3,4,5"]), ("C", ["4,5,6"]))
    expected = as_rows(unpacked(whole, FIELDS))
    assert as_rows(unpacked(pa.concat_tables([whole.slice(0, 1), whole.slice(1)]), FIELDS)) == expected
    assert as_rows(unpacked(whole.slice(1, 1), FIELDS)) == expected[1:3]


def test_columns_without_nulls_can_be_read_where_they_lie() -> None:
    # So many that they are parsed in several blocks.
    lines = [f"{k},{k / 7},{k}" for k in range(100_000)]
    (piece,) = unpacked(received(("A", lines)), FIELDS)["open"].chunks
    assert np.array_equal(piece.to_numpy(zero_copy_only=True), np.arange(100_000) / 7)


def test_rows_of_the_longest_numbers_are_read() -> None:
    # As many digits as PostgreSQL's NUMERIC has before and behind the point, in every field of a bar.
    longest = "1" + "0" * 131_071 + "." + "0" * 16_383 + "1"
    lines = [f"{k}," + ",".join([longest] * len(BAR_FIELDS)) for k in range(4)]
    table = unpacked(received(("A", ["9" + ",2.5" * len(BAR_FIELDS)]), ("B", lines)), BAR_FIELDS)
    assert table["close"].to_pylist() == [2.5, *[INF] * 4]


def test_a_line_that_is_not_as_declared_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid):
        unpacked(received(("A", ["1,2"])), FIELDS)
    with pytest.raises(pa.ArrowInvalid):
        unpacked(received(("A", ["1,x,2"])), FIELDS)


def test_the_names_of_fields_are_quoted() -> None:
    query = packed(Sql("SELECT 1"), ['o"x', "y"])
    assert 'coalesce("o""x",' in query
    assert 'coalesce("y",' in query
