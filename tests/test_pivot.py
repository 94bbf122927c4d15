"""The panel and the pivot that fills it, against a pivot in plain loops."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.indicators.contract import BAR_FIELDS, METRIC_FIELDS, Panel
from candlemill.pipeline.compute.pivot import joined, pivot_bars, pivot_metrics
from tests import panels, slow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candlemill.indicators.contract import Floats
    from candlemill.pipeline.compute.pivot import Pivot

AS_OF = panels.AS_OF
MODEST = settings(max_examples=60, deadline=None, derandomize=True, database=None)
UNUSABLE, REPEATED = "bar without a finite price or volume", "repeated bar"
NEEDED = 5


def bars_table(rows: Sequence[slow.Bar], fields: Sequence[str] = BAR_FIELDS) -> pa.Table:
    """The rows as a source gives them, in their order."""
    return pa.table(
        {
            "symbol": pa.array([row.symbol for row in rows], pa.string()),
            "bucket_ts": pa.array([row.time for row in rows], pa.int64()).cast(pa.timestamp("us", "UTC")),
            **{name: pa.array([row.values[place] for row in rows], pa.float64()) for place, name in enumerate(fields)},
        }
    )


def bar(symbol: str | None, time: int | None, price: float | None = 1.0, **values: float | None) -> slow.Bar:
    """A bar of one price and a volume of 1, and without the optional values."""
    known: dict[str, float | None] = {**dict.fromkeys(panels.PRICES, price), "volume": 1.0, **values}
    return slow.Bar(symbol, time, tuple(known.get(name) for name in BAR_FIELDS))


def pivot(rows: Sequence[slow.Bar], lookback: int = 400) -> Pivot:
    return pivot_bars(bars_table(rows), "5m", AS_OF, lookback)


def bars_of(series: panels.Series) -> list[slow.Bar]:
    """The rows of a series, NULL where it has NaN."""
    values = zip(*(column.tolist() for column in series.fields.values()), strict=True)
    return [
        slow.Bar(series.symbol, time, tuple(None if math.isnan(v) else v for v in row))
        for time, row in zip(series.time.tolist(), values, strict=True)
    ]


def check(made: Pivot, expected: dict[str, list[slow.Bar]], fields: Sequence[str] = BAR_FIELDS) -> None:
    """That panel and ranked table hold exactly these bars, and agree cell by cell."""
    panel, ranked = made.panel, made.ranked
    order = sorted(expected, key=lambda symbol: (-len(expected[symbol]), symbol))
    assert list(panel.symbols) == order
    assert panel.lengths.tolist() == [len(expected[symbol]) for symbol in order]
    rows = max(map(len, expected.values()), default=0)
    assert panel.rows == rows
    assert panel.series == len(order)
    assert panel.first.tolist() == [rows - len(expected[symbol]) for symbol in order]
    assert set(panel.fields) == set(fields)
    flat = [(column, place, one) for column, s in enumerate(order) for place, one in enumerate(expected[s])]
    for column, symbol in enumerate(order):
        start = rows - len(expected[symbol])
        assert (panel.time[:start, column] == 0).all()
        assert panel.time[start:, column].tolist() == [one.time for one in expected[symbol]]
        for place, name in enumerate(fields):
            assert np.isnan(panel.fields[name][:start, column]).all()
            found = panel.fields[name][start:, column].tolist()
            assert [None if math.isnan(v) else v for v in found] == [one.values[place] for one in expected[symbol]]
    assert ranked.column_names == ["series", "interval", "symbol", "bucket_ts", "n", "rn", *fields]
    assert ranked["series"].to_pylist() == [column for column, _, _ in flat]
    assert ranked["interval"].to_pylist() == [panel.intervals[column] for column, _, _ in flat]
    assert ranked["symbol"].to_pylist() == [one.symbol for _, _, one in flat]
    assert ranked["bucket_ts"].type == pa.timestamp("us", "UTC")
    assert ranked["bucket_ts"].cast(pa.int64()).to_pylist() == [one.time for _, _, one in flat]
    assert ranked["n"].to_pylist() == [len(expected[order[column]]) for column, _, _ in flat]
    assert ranked["rn"].to_pylist() == [len(expected[order[column]]) - place for column, place, _ in flat]
    for place, name in enumerate(fields):
        assert ranked[name].to_pylist() == [one.values[place] for _, _, one in flat]


VALUE = st.one_of(st.integers(-2, 2).map(float), st.floats(1e-6, 1e6))
PRICE = st.one_of(*[VALUE] * 9, st.sampled_from([None, math.nan, math.inf, -math.inf]))
OPTIONAL = st.one_of(VALUE, VALUE, st.none(), st.sampled_from([math.nan, math.inf]))
ROWS = st.lists(
    st.builds(
        slow.Bar,
        st.sampled_from(["B", "A", "AA", "é", "C", "D", None]),
        st.one_of(*[st.integers(-1, 12)] * 9, st.none()),
        st.one_of(
            st.tuples(*[st.just(1.0)] * NEEDED, *[st.one_of(st.just(2.0), st.none())] * 4),
            st.tuples(*[PRICE] * NEEDED, *[OPTIONAL] * 4),
        ),
    ),
    max_size=60,
)


@MODEST
@given(rows=ROWS, lookback=st.integers(1, 12))
def test_a_pivot_holds_the_newest_bars_of_each_symbol(rows: list[slow.Bar], lookback: int) -> None:
    expected, unusable, repeated = slow.newest_bars(rows, NEEDED, lookback)
    made = pivot(rows, lookback)
    check(made, expected)
    assert made.skipped == {
        reason: count for reason, count in ((UNUSABLE, unusable), (REPEATED, repeated)) if count > 0
    }


@MODEST
@given(data=st.data(), rows=ROWS, chunks=st.integers(1, 4))
def test_the_order_and_the_chunks_of_rows_do_not_matter(data: st.DataObject, rows: list[slow.Bar], chunks: int) -> None:
    mixed = data.draw(st.permutations(rows))
    size = max(len(mixed) // chunks, 1)
    table = pa.concat_tables([bars_table(mixed[i : i + size]) for i in range(0, max(len(mixed), 1), size)])
    made, straight = pivot_bars(table, "5m", AS_OF, 9), pivot(rows, 9)
    check(made, slow.newest_bars(rows, NEEDED, 9)[0])
    assert made.ranked.to_pylist() == straight.ranked.to_pylist()
    assert made.skipped == straight.skipped


def test_series_stand_by_falling_length_and_then_by_name_newest_row_last() -> None:
    rows = [bar(symbol, time) for symbol, count in (("B", 2), ("Z", 3), ("A", 2), ("C", 1)) for time in range(count)]
    made = pivot(rows)
    assert list(made.panel.symbols) == ["Z", "A", "B", "C"]
    assert made.panel.time.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [2, 1, 1, 0]]
    assert made.panel.newest_time.tolist() == [2, 1, 1, 0]
    assert np.isnan(made.panel.close).tolist() == [[False, True, True, True], [False, False, False, True], [False] * 4]


def test_only_the_newest_bars_up_to_the_lookback_count() -> None:
    made = pivot([bar("A", time, float(time)) for time in (5, 1, 4, 2, 3)] + [bar("B", 9, 9.0)], lookback=3)
    assert made.panel.lengths.tolist() == [3, 1]
    assert made.panel.close[:, 0].tolist() == [3.0, 4.0, 5.0]
    assert made.ranked["rn"].to_pylist() == [3, 2, 1, 1]
    assert made.ranked["n"].to_pylist() == [3, 3, 3, 1]
    assert made.skipped == {}


def test_an_unusable_bar_does_not_use_up_the_lookback() -> None:
    made = pivot([bar("A", 1), bar("A", 2), bar("A", 3, None), bar("A", 4, math.nan)], lookback=2)
    assert made.panel.time[:, 0].tolist() == [1, 2]
    assert made.skipped == {UNUSABLE: 2}


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_bar_without_a_finite_price_or_volume_is_skipped_and_counted(field: str, value: float | None) -> None:
    made = pivot([bar("A", 1), bar("A", 2, **{field: value}), bar("A", 3), bar("B", 1, **{field: value})])
    assert list(made.panel.symbols) == ["A"]
    assert made.panel.time[:, 0].tolist() == [1, 3]
    assert made.skipped == {UNUSABLE: 2}


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_an_unknown_taker_volume_is_nan_in_the_panel_and_null_for_sql(value: float | None) -> None:
    made = pivot([bar("A", 1, taker_buy_volume=0.5), bar("A", 2, taker_buy_volume=value)])
    assert np.array_equal(made.panel.taker_buy_volume[:, 0], np.array([0.5, math.nan]), equal_nan=True)
    assert made.ranked["taker_buy_volume"].to_pylist() == [0.5, None]
    assert made.ranked["taker_buy_volume"].null_count == 1
    assert made.ranked["quote_volume"].to_pylist() == [None, None]
    assert made.skipped == {}


def test_of_a_repeated_bar_one_stays_whatever_the_order() -> None:
    once, again = bar("A", 1, 1.0, quote_volume=5.0), bar("A", 1, 1.0, quote_volume=7.0)
    other = bar("A", 2, 3.0)
    for rows in ([once, again, other, again], [again, other, again, once], [other, again, once, again]):
        made = pivot(rows)
        assert made.panel.time[:, 0].tolist() == [1, 2]
        assert made.ranked["quote_volume"].to_pylist() == [7.0, None]
        assert made.skipped == {REPEATED: 2}


def test_a_repeated_bar_of_which_one_is_unusable_is_not_repeated() -> None:
    for rows in ([bar("A", 1, None), bar("A", 1, 2.0)], [bar("A", 1, 2.0), bar("A", 1, None)]):
        made = pivot(rows)
        assert made.panel.close.tolist() == [[2.0]]
        assert made.skipped == {UNUSABLE: 1}


@pytest.mark.parametrize("rows", [[], [bar("A", 1, None), bar(None, 2), bar("B", None)]])
def test_no_usable_row_makes_an_empty_panel(rows: list[slow.Bar]) -> None:
    made = pivot(rows)
    assert (made.panel.rows, made.panel.series, made.ranked.num_rows) == (0, 0, 0)
    check(made, {})
    assert made.skipped == ({UNUSABLE: 3} if rows else {})


def test_one_bar_beside_many() -> None:
    rows = [bar("LONG", time, float(time)) for time in range(1, 401)] + [bar("NEW", 400, 7.0)]
    made = pivot(rows)
    assert made.panel.lengths.tolist() == [400, 1]
    assert made.panel.close[-1].tolist() == [400.0, 7.0]
    assert np.isnan(made.panel.close[:-1, 1]).all()
    assert made.panel.first.tolist() == [0, 399]


def test_real_series_come_through_as_they_are() -> None:
    series = panels.zoo(90)
    expected = panels.panel_of(series)
    for seed in (1, 2):
        made = pivot_bars(panels.shuffled(panels.table_of(series), seed, chunks=3), "5m", AS_OF, 400).panel
        assert list(made.symbols) == list(expected.symbols)
        assert made.time.tolist() == expected.time.tolist()
        for name in BAR_FIELDS:
            assert np.array_equal(made.fields[name], expected.fields[name], equal_nan=True)


def test_the_panel_carries_interval_and_as_of() -> None:
    made = pivot_bars(bars_table([bar("A", 1)]), "4h", datetime(2026, 1, 18, 14, 0, 0, 5, tzinfo=UTC), 5).panel
    assert made.intervals == ["4h"]
    assert made.as_of == 1768744800000005


def test_metrics_of_the_chosen_symbols_only_with_the_totals_of_all() -> None:
    series = [panels.metrics_walk(symbol, rows, seed) for seed, (symbol, rows) in enumerate([("A", 3), ("B", 9)])]
    gappy = panels.sparse(panels.metrics_walk("C", 5, 9), 9, "open_interest")
    table = panels.shuffled(panels.table_of([*series, gappy]), 4)
    made = pivot_metrics(table, "5m", AS_OF, 4, ["C", "A", "UNHEARD"])
    check(made, {one.symbol: bars_of(one.tail(4)) for one in (series[0], gappy)}, METRIC_FIELDS)
    newest = sum(float(one.fields["open_interest_value"][-1]) for one in (*series, gappy))
    assert totals_of(made.panel) == {"open_interest_value": [pytest.approx(newest, rel=1e-15)] * 2}
    assert made.skipped == {}


def totals_of(panel: Panel) -> dict[str, list[float]]:
    """Totals by field, of each series."""
    return {name: values.tolist() for name, values in panel.totals.items()}


def metrics_row(symbol: str, minutes_ago: float, value: float | None) -> slow.Bar:
    """A metrics row with a value of the open interest and nothing else."""
    time = int(AS_OF.timestamp() * 1_000_000) - int(minutes_ago * 60_000_000)
    return slow.Bar(symbol, time, tuple(value if name == "open_interest_value" else None for name in METRIC_FIELDS))


@pytest.mark.parametrize(
    ("interval", "rows", "total"),
    [
        # At 5m the newest row of each symbol within the last hour, whatever the order of the rows.
        ("5m", [("A", 0, 1.0), ("A", 5, 10.0), ("B", 55, 100.0), ("C", 60, 1000.0), ("D", 70, 1e4)], 101.0),
        ("5m", [("A", 5, 10.0), ("A", 0, 1.0), ("A", 10, 20.0)], 1.0),
        # A newest row without a value: the symbol does not count.
        ("5m", [("A", 0, None), ("A", 5, 10.0), ("B", 0, 2.0)], 2.0),
        # At coarser intervals the newest bucket.
        ("1h", [("A", 3, 1.0), ("B", 3, 2.0), ("C", 63, 4.0)], 3.0),
        ("1h", [("A", 3, None), ("B", 63, 2.0)], None),
        ("1h", [("A", 3, 0.0)], None),
        ("5m", [("C", 90, 4.0)], None),
    ],
)
def test_the_market_total(interval: str, rows: list[tuple[str, float, float | None]], total: float | None) -> None:
    table = bars_table([metrics_row(*row) for row in rows], METRIC_FIELDS)
    for order in (table, panels.shuffled(table, 3)):
        made = pivot_metrics(order, interval, AS_OF, 240, ["A", "B", "C", "D"])
        found = totals_of(made.panel)["open_interest_value"]
        assert found
        assert all(math.isnan(one) if total is None else one == total for one in found)


def test_the_market_total_is_exact_in_any_order() -> None:
    values = [1e16, 1.0, -1e16, 3.0]
    table = bars_table([metrics_row(name, 1, value) for name, value in zip("ABCD", values, strict=True)], METRIC_FIELDS)
    assert totals_of(pivot_metrics(table, "1h", AS_OF, 240, ["A"]).panel) == {"open_interest_value": [4.0]}


def test_repeated_metrics_are_named_as_such() -> None:
    table = panels.table_of([panels.metrics_walk("A", 3, 1)] * 2)
    made = pivot_metrics(table, "5m", AS_OF, 240, ["A"])
    assert made.panel.lengths.tolist() == [3]
    assert made.skipped == {"repeated metrics row": 3}


def small(fields: dict[str, Floats] | None = None, *, lengths: Sequence[int] = (3, 2)) -> Panel:
    rows, series = 3, len(lengths)
    values = {"close": np.arange(rows * series, dtype=np.float64).reshape(rows, series)} if fields is None else fields
    return Panel(
        intervals=["5m"] * series,
        as_of=0,
        symbols=[f"S{i}" for i in range(series)],
        lengths=np.array(lengths, dtype=np.int64),
        time=np.zeros((rows, series), dtype=np.int64),
        fields=values,
    )


def test_all_arrays_of_a_panel_are_read_only() -> None:
    for panel in (small(), pivot([bar("A", 1), bar("A", 2)]).panel, small().select([1])):
        for array in (panel.lengths, panel.time, panel.newest_time, panel.close, panel.fields["close"]):
            with pytest.raises(ValueError, match="read-only"):
                array[-1] = 0


def test_a_panel_refuses_series_that_are_not_ordered_by_length() -> None:
    with pytest.raises(ValueError, match="a panel's series are not ordered by falling length"):
        small(lengths=(2, 3))


def test_a_panel_refuses_a_field_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"a panel's close has shape \(3, 1\), want \(3, 2\)"):
        small({"close": np.zeros((3, 1))})


@pytest.mark.parametrize(("lengths", "time"), [((3, 2, 1), (3, 2)), ((3, 2), (3, 1)), ((3,), (3, 2))])
def test_a_panel_refuses_lengths_and_times_of_another_shape(lengths: tuple[int, ...], time: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"a panel's (time|lengths) has shape .* want"):
        Panel(["1h"] * 2, 0, ["A", "B"], np.array(lengths, dtype=np.int64), np.zeros(time, dtype=np.int64), {})


def test_a_field_is_an_attribute_and_a_missing_one_is_named_with_those_there_are() -> None:
    panel = small()
    assert panel.close is panel.fields["close"]
    with pytest.raises(AttributeError, match="the panel has no field 'volume'; it has close"):
        _ = panel.volume


def test_select_keeps_the_order_and_cuts_rows_that_no_series_uses() -> None:
    series = [panels.walk(name, length, seed) for seed, (name, length) in enumerate([("A", 9), ("B", 7), ("C", 4)])]
    panel = panels.panel_of(series)
    for columns in ([2, 1], [1, 2]):
        part = panel.select(columns)
        assert list(part.symbols) == ["B", "C"]
        assert part.rows == 7
        assert part.first.tolist() == [0, 3]
        assert (part.intervals, part.as_of) == (panel.intervals[:2], panel.as_of)
        for name in BAR_FIELDS:
            assert np.array_equal(part.fields[name], panel.fields[name][2:, 1:], equal_nan=True)
        assert part.time.tolist() == panel.time[2:, 1:].tolist()
    alone = panel.select([2])
    assert alone.close[:, 0].tolist() == series[2].fields["close"].tolist()


def test_select_leaves_behind_what_was_shared_and_takes_the_totals_along() -> None:
    panel = small()
    panel.shared(("a",), lambda: panel.close * 2)
    part = panel.select([1])
    assert part.shared(("a",), lambda: part.close * 2).shape == (2, 1)
    metrics = pivot_metrics(panels.table_of([panels.metrics_walk("A", 3, 1)]), "5m", AS_OF, 9, ["A"]).panel
    assert totals_of(metrics.select([0])) == totals_of(metrics) != {}


def test_shared_values_are_computed_once_per_key_and_read_only() -> None:
    panel = small()
    calls = []

    def doubled() -> Floats:
        calls.append(1)
        return panel.close * 2

    first = panel.shared(("doubled", 2), doubled)
    assert panel.shared(("doubled", 2), doubled) is first
    assert len(calls) == 1
    assert panel.shared(("doubled", 3), doubled) is not first
    assert len(calls) == 2
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1.0


def test_what_fails_to_be_shared_is_tried_again() -> None:
    panel = small()

    def fails() -> Floats:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        panel.shared(("a",), fails)
    assert panel.shared(("a",), lambda: panel.close * 1).tolist() == panel.close.tolist()


@MODEST
@given(data=st.data())
def test_panels_that_are_joined_hold_each_series_unchanged(data: st.DataObject) -> None:
    parts = []
    for interval in ("5m", "1h", "1w"):
        lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
        series = [panels.walk(f"{interval}{n}", length, n + 7, interval=interval) for n, length in enumerate(lengths)]
        parts.append(
            replace(panels.panel_of(series, interval=interval), totals={"volume": np.arange(float(len(series)))})
        )
    whole, columns = joined(parts)
    assert (np.diff(whole.lengths) <= 0).all()
    assert sorted(place for places in columns for place in places.tolist()) == list(range(whole.series))
    for part, places in zip(parts, columns, strict=True):
        again = whole.select(places.tolist())
        order = np.argsort(np.argsort(places))
        assert [again.symbols[place] for place in order] == list(part.symbols)
        assert set(again.intervals) == set(part.intervals)
        assert again.time[:, order].tolist() == part.time.tolist()
        assert again.totals["volume"][order].tolist() == part.totals["volume"].tolist()
        for name in BAR_FIELDS:
            assert np.array_equal(again.fields[name][:, order], part.fields[name], equal_nan=True)
