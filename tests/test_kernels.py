"""Every kernel against its slow twin, and a series alone against the same series in a panel of many lengths."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candlemill.indicators.kernels import bars, pivots, recursions, rolling, stretches
from tests import panels, slow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from candlemill.indicators.contract import Array, Floats, Ints, Panel
    from tests.panels import Series

Columns = list[list[float]]

MODEST = settings(max_examples=40, deadline=None, derandomize=True, database=None)
PRICES = st.floats(1e-6, 1e6)
SIGNED = st.floats(-1e6, 1e6)
TICKS = st.integers(-300, 300).map(lambda cents: cents / 100)


def one_series(values: st.SearchStrategy[float], longest: int = 40) -> st.SearchStrategy[list[float]]:
    """A series of arbitrary values, or a constant one, or one far off zero."""
    size = st.integers(1, longest)
    return st.one_of(
        st.lists(values, min_size=1, max_size=longest),
        st.builds(lambda value, bars: [value] * bars, values, size),
        st.lists(values, min_size=1, max_size=longest).map(lambda series: [1e9 + value for value in series]),
    )


def many_series(values: st.SearchStrategy[float], longest: int = 40) -> st.SearchStrategy[Columns]:
    """Series of one panel, by falling length."""
    return st.lists(one_series(values, longest), min_size=1, max_size=5).map(
        lambda columns: sorted(columns, key=len, reverse=True)
    )


ANY_COLUMNS = st.one_of(many_series(SIGNED), many_series(TICKS), many_series(PRICES))

RANDOM = np.random.default_rng(20260118)
ADVERSARIAL: dict[str, Columns] = {
    "one bar": [[3.7]],
    "one bar beside many": [[1.0 + 0.1 * i for i in range(60)], [5.5, 5.4], [0.1]],
    "constants": [[0.1] * 60, [1e9 + 0.1] * 45, [-1e-9] * 20, [0.0] * 20, [2.675] * 3],
    "large offset": [list(1e9 + RANDOM.standard_normal(60)), list(1e9 + 1e-6 * RANDOM.standard_normal(33))],
    "jump": [[1e9] * 25 + [1e-3 * (i % 7) for i in range(35)], [1e-9] * 20 + [1e9] * 20],
    "steps": [[1.0] * 20 + [2.0] * 20 + [1.0] * 20, [0.0, 1.0] * 25, [-1.0, 1.0] * 10],
    "ties in length": [[float(i % 5) for i in range(30)], [float(i % 3) for i in range(30)], [2.5] * 30],
    "all lengths": [list(RANDOM.standard_normal(length)) for length in range(50, 0, -1)],
}


def same(actual: Array, expected: Array) -> bool:
    """Equal bit for bit, where NaN is NaN."""
    return np.array_equal(actual, expected, equal_nan=actual.dtype.kind == "f")


def close(actual: Floats, expected: Sequence[float], size: float, tolerance: float = 1e-12) -> None:
    """Equal within a tolerance relative to the largest value that went in; NaN where NaN is expected."""
    np.testing.assert_allclose(actual, np.array(expected), rtol=0, atol=tolerance * size, equal_nan=True)


# Kernels that take (values, first) and give (bars, series), each with its twin.
OVER_TIME: dict[str, tuple[Callable[[Floats, Ints], Floats], Callable[[list[float]], list[float]]]] = {
    "ema 1/3": (lambda v, first: recursions.ema(v, 1 / 3, first), lambda s: slow.ema(s, 1 / 3)),
    "ema 1": (lambda v, first: recursions.ema(v, 1.0, first), lambda s: s),
    "ema span 26": (lambda v, first: recursions.ema(v, recursions.span(26), first), lambda s: slow.ema(s, 2 / 27)),
    "wilder 1": (lambda v, first: recursions.wilder(v, 1, first), lambda s: s),
    "wilder 14": (lambda v, first: recursions.wilder(v, 14, first), lambda s: slow.wilder(s, 14)),
    "weighted_mean": (lambda v, first: recursions.weighted_mean(v, 0.2, first), lambda s: slow.weighted_mean(s, 0.2)),
    "smoothed 1": (lambda v, first: recursions.smoothed(v, 1, first), lambda s: s),
    "smoothed 7": (lambda v, first: recursions.smoothed(v, 7, first), lambda s: slow.smoothed(s, 7)),
    "moving_mean 1": (lambda v, first: rolling.moving_mean(v, 1, first), lambda s: s),
    "moving_mean 5": (lambda v, first: rolling.moving_mean(v, 5, first), lambda s: slow.moving_mean(s, 5)),
    "moving_mean 20": (lambda v, first: rolling.moving_mean(v, 20, first), lambda s: slow.moving_mean(s, 20)),
    "moving_mean 99": (lambda v, first: rolling.moving_mean(v, 99, first), lambda s: slow.moving_mean(s, 99)),
    "moving_sum 5": (lambda v, first: rolling.moving_sum(v, 5, first)[0], lambda s: slow.moving_sum(s, 5)),
}


def check_over_time(name: str, columns: Columns) -> None:
    kernel, twin = OVER_TIME[name]
    values, first = panels.ragged(columns)
    before = values.copy()
    found = kernel(values, first)
    assert found.shape == values.shape
    assert same(values, before)
    for place, series in enumerate(columns):
        start = int(first[place])
        own = found[start:, place]
        assert np.isnan(found[:start, place]).all()
        close(own, twin(series), max(map(abs, series)), 1e-11 if "sum" in name else 1e-12)
        assert same(own, kernel(*panels.ragged([series]))[:, 0])


@pytest.mark.parametrize("name", OVER_TIME)
@MODEST
@given(columns=ANY_COLUMNS)
def test_kernel_over_time_equals_its_twin(name: str, columns: Columns) -> None:
    check_over_time(name, columns)


@pytest.mark.parametrize("case", ADVERSARIAL)
@pytest.mark.parametrize("name", OVER_TIME)
def test_kernel_over_time_on_adversarial_series(name: str, case: str) -> None:
    check_over_time(name, ADVERSARIAL[case])


@pytest.mark.parametrize("name", [name for name in OVER_TIME if not name.startswith(("smoothed", "moving_sum"))])
@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1e-9, 2.675, 1e-300])
def test_an_average_of_a_constant_series_is_exactly_that_constant(name: str, value: float) -> None:
    values, first = panels.ragged([[value] * 300, [value] * 7])
    found = OVER_TIME[name][0](values, first)
    assert set(found[~np.isnan(found)].tolist()) == {value}


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1e-9])
def test_the_sum_over_a_constant_window_is_exactly_its_multiple(value: float) -> None:
    values, first = panels.ragged([[5.0, 1e-7] + [value] * 40])
    sums, means = rolling.moving_sum(values, 20, first)
    assert sums[-1, 0] == value * 20
    assert means[-1, 0] == value


@MODEST
@given(columns=ANY_COLUMNS, width=st.integers(1, 45))
def test_moving_mean_evaluates_in_the_order_that_ties_depend_on(columns: Columns, width: int) -> None:
    values, first = panels.ragged(columns)
    found = rolling.moving_mean(values, width, first)
    for place, series in enumerate(columns):
        assert found[first[place] :, place].tolist() == slow.running_mean(series, width)


@MODEST
@given(columns=ANY_COLUMNS, width=st.integers(1, 45), rows=st.integers(1, 60))
def test_the_newest_rows_of_a_moving_sum_are_those_of_all(columns: Columns, width: int, rows: int) -> None:
    values, first = panels.ragged(columns)
    several = np.stack([values, -2 * values], axis=1)
    newest, whole = rolling.moving_sum(several, width, first, rows), rolling.moving_sum(several, width, first)
    alone = rolling.moving_sum(values, width, first)
    for part, all_, one in zip(newest, whole, alone, strict=True):
        assert same(part, all_[-rows:])
        assert same(all_[:, 0], one)


@MODEST
@given(columns=ANY_COLUMNS, alphas=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=4), rows=st.integers(1, 60))
def test_ema_of_several_alphas_is_each_alone(columns: Columns, alphas: list[float], rows: int) -> None:
    values, first = panels.ragged(columns)
    together = recursions.ema(values, np.array(alphas)[:, None], first)
    assert together.shape == (len(values), len(alphas), len(columns))
    newest = recursions.ema(values, np.array(alphas)[:, None], first, rows=rows)
    assert same(newest, together[-rows:])
    # Several values per bar, one for each alpha, are smoothed each by its own.
    stacked = recursions.ema(np.stack([values * (k + 1) for k in range(len(alphas))], axis=1), alphas[0], first)
    for k, alpha in enumerate(alphas):
        assert same(together[:, k], recursions.ema(values, alpha, first))
        assert same(stacked[:, k], recursions.ema(values * (k + 1), alphas[0], first))


@MODEST
@given(columns=ANY_COLUMNS, fading=st.lists(st.floats(0.0, 0.99), min_size=1, max_size=40))
def test_fading_sums_equal_their_twin(columns: Columns, fading: list[float]) -> None:
    values, _ = panels.ragged(columns)
    values = np.nan_to_num(values)
    found = recursions.fading_sums(values, np.array(fading))
    for place, series in enumerate(columns):
        twin = [slow.fading_sum(series, factor) for factor in fading]
        close(found[:, place], twin, len(series) * max(map(abs, series)))
        assert same(found[:, [place]], recursions.fading_sums(np.array(series)[:, None], np.array(fading)))


def test_fading_sums_of_more_series_than_a_block_are_each_alone() -> None:
    values = np.random.default_rng(5).normal(size=(90, 600))
    values[np.arange(90)[:, None] < np.repeat([0, 3, 89, 90], 150)] = 0.0
    fading = 1 - 1 / np.arange(2.0, 34.0)
    found = recursions.fading_sums(values, fading)
    assert (found[:, 450:] == 0).all()
    for column in range(0, 600, 7):
        assert same(found[:, [column]], recursions.fading_sums(values[:, [column]], fading))


@MODEST
@given(columns=ANY_COLUMNS, alphas=st.lists(st.floats(0.01, 0.99), min_size=1, max_size=3))
def test_weighted_mean_of_several_alphas_is_each_alone(columns: Columns, alphas: list[float]) -> None:
    values, first = panels.ragged(columns)
    together = recursions.weighted_mean(values, np.array(alphas)[:, None], first)
    for k, alpha in enumerate(alphas):
        assert same(together[:, k], recursions.weighted_mean(values, alpha, first))


@pytest.mark.parametrize("period", [1, 2, 9, 12, 26, 99.5])
def test_span_names_the_alpha(period: float) -> None:
    assert math.isclose(recursions.span(period), 1 / (1 + (period - 1) / 2), rel_tol=1e-15)


@MODEST
@given(
    begins=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), min_size=1, max_size=6), rows=st.integers(1, 12)
)
def test_stretches_name_the_series_under_way(begins: list[tuple[int, int]], rows: int) -> None:
    first, later = (np.sort(np.array(column)) for column in ([a for a, _ in begins], [a + b for a, b in begins]))
    seen: dict[int, tuple[int, ...]] = {}
    for start, stop, begun in stretches.stretches(rows, first, later):
        assert start < stop
        seen |= dict.fromkeys(range(start, stop), begun)
    expected = {row: (int((first <= row).sum()), int((later <= row).sum())) for row in range(rows)}
    assert seen == {row: begun for row, begun in expected.items() if begun[0]}


def test_no_rows_have_no_stretches() -> None:
    assert list(stretches.stretches(0, np.array([0]))) == []


GAPPY = st.one_of(SIGNED, TICKS, st.just(math.nan), st.just(math.inf), st.just(-math.inf))


@MODEST
@given(
    rows=st.lists(st.tuples(GAPPY, GAPPY, TICKS, st.just(0.1)), min_size=1, max_size=40),
    alpha=st.sampled_from([1 / 3, 0.5, 2 / 27, 1 / 14]),
    minimum=st.integers(1, 4),
)
def test_ema_over_gaps_equals_its_twin(rows: list[tuple[float, ...]], alpha: float, minimum: int) -> None:
    values = np.array(rows)
    with np.errstate(invalid="ignore"):
        found = recursions.ema_over_gaps(values, alpha, minimum, np.zeros(4, dtype=np.int64))
        alone = [
            recursions.ema_over_gaps(values[:, [place]], alpha, minimum, np.zeros(1, dtype=np.int64))
            for place in range(4)
        ]
    for place in range(4):
        series = values[:, place].tolist()
        size = max((abs(value) for value in series if math.isfinite(value)), default=0.0)
        close(found[:, place], slow.ema_over_gaps(series, alpha, minimum), size)
        assert same(found[:, [place]], alone[place])
    assert set(found[minimum - 1 :, 3].tolist()) <= {0.1}


def test_ema_over_gaps_lets_the_old_value_fade_over_a_gap() -> None:
    values = np.array([[1.0], [math.nan], [math.nan], [2.0]])
    weight = (2 / 3) ** 3
    expected = (weight * 1.0 + 2.0 / 3) / (weight + 1 / 3)
    found = recursions.ema_over_gaps(values, 1 / 3, 1, np.zeros(1, dtype=np.int64))[:, 0]
    assert found[:3].tolist() == [1.0, 1.0, 1.0]
    assert math.isclose(found[3], expected, rel_tol=1e-14)


def test_ema_over_gaps_without_gaps_is_the_ema_and_a_gap_before_the_first_value_is_none() -> None:
    values, first = panels.ragged([[float(x) for x in RANDOM.standard_normal(50)], [1.0, 2.0, 4.0]])
    assert same(recursions.ema_over_gaps(values, 0.25, 1, first), recursions.ema(values, 0.25, first))
    gapped = recursions.ema_over_gaps(values, 0.25, 1, np.zeros(2, dtype=np.int64))
    close(gapped[-3:, 1], recursions.ema(values, 0.25, first)[-3:, 1].tolist(), size=4.0)


def check_supertrend(upper: Columns, lower: Columns, prices: Columns) -> None:
    (above, first), (below, _), (close_, _) = (panels.ragged(columns) for columns in (upper, lower, prices))
    found = recursions.supertrend(above, below, close_, first)
    for place, parts in enumerate(zip(upper, lower, prices, strict=True)):
        expected = slow.supertrend(*parts)
        assert tuple(part[place].item() for part in found) == expected
        up, down, price = (panels.ragged([series])[0] for series in parts)
        alone = recursions.supertrend(up, down, price, np.zeros(1, dtype=np.int64))
        assert tuple(part[0].item() for part in alone) == expected


@MODEST
@given(
    columns=st.lists(
        st.lists(st.tuples(*[st.integers(-3, 3).map(float)] * 3), min_size=1, max_size=30), min_size=1, max_size=5
    )
)
def test_supertrend_equals_its_definition_where_everything_touches(columns: list[list[tuple[float, ...]]]) -> None:
    columns.sort(key=len, reverse=True)
    upper, lower, prices = ([[bar[k] for bar in column] for column in columns] for k in range(3))
    check_supertrend(upper, lower, prices)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reach", [0.0, 0.5, 3.0])
def test_supertrend_equals_its_definition_on_walks(seed: int, reach: float) -> None:
    lengths = (120, 120, 60, 12, 3, 2, 1)
    walks = [panels.walk("X", length, 10 * seed + i) for i, length in enumerate(lengths)]
    upper, lower = ([(walk.fields["close"] + side * reach).tolist() for walk in walks] for side in (1, -1))
    check_supertrend(upper, lower, [walk.fields["close"].tolist() for walk in walks])


def test_supertrend_starts_long_unless_the_second_close_is_below_the_lower_band() -> None:
    for second, short in ((8.9, True), (9.0, False), (30.0, False)):
        upper, lower, prices = [[11.0, 11.0]], [[9.0, 9.0]], [[10.0, second]]
        check_supertrend(upper, lower, prices)
        assert slow.supertrend(upper[0], lower[0], prices[0]).short is short


WINDOWS = {
    "highest": (rolling.highest, slow.highest),
    "lowest": (rolling.lowest, slow.lowest),
}


@pytest.mark.parametrize("name", WINDOWS)
@MODEST
@given(columns=ANY_COLUMNS, data=st.data())
def test_extreme_of_a_window_equals_its_twin(name: str, columns: Columns, data: st.DataObject) -> None:
    kernel, twin = WINDOWS[name]
    values, first = panels.ragged(columns)
    width = data.draw(st.integers(1, len(values)))
    found = kernel(values, width)
    assert found.shape == (len(values) - width + 1, len(columns))
    for place, series in enumerate(columns):
        assert same(found[:, place], np.array(twin(values[:, place].tolist(), width)))
        if width <= len(series):
            assert same(found[first[place] :, place], kernel(*panels.ragged([series])[:1], width)[:, 0])


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("width", [0, -1, 4, 100])
def test_an_impossible_window_is_refused(name: str, width: int) -> None:
    with pytest.raises(ValueError, match=f"a window of {width} rows over 3 rows"):
        WINDOWS[name][0](np.ones((3, 2)), width)


@MODEST
@given(columns=ANY_COLUMNS, width=st.integers(1, 50))
def test_highest_so_far_equals_its_twin(columns: Columns, width: int) -> None:
    values, first = panels.ragged(columns)
    found = rolling.highest_so_far(values, width)
    assert found.shape == values.shape
    for place, series in enumerate(columns):
        assert same(found[:, place], np.array(slow.highest_so_far(values[:, place].tolist(), width)))
        assert same(found[first[place] :, place], np.array(slow.highest_so_far(series, width)))


TAIL = st.lists(
    st.tuples(st.one_of(SIGNED, st.just(math.nan)), TICKS, SIGNED.map(lambda v: 1e9 + v), st.just(0.1)),
    min_size=1,
    max_size=40,
)


@MODEST
@given(rows=TAIL)
def test_tail_sum_equals_its_twin(rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows)
    found = rolling.tail_sum(values)
    for place in range(values.shape[1]):
        there = [value for value in values[:, place].tolist() if not math.isnan(value)]
        close(found[[place]], [math.fsum(there)], sum(map(abs, there)))


@MODEST
@given(rows=TAIL)
def test_tail_mean_equals_its_twin(rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows)
    found = rolling.tail_mean(values)
    for place in range(values.shape[1]):
        series = values[:, place].tolist()
        close(found[[place]], [slow.mean(series)], np.nanmax(np.abs(series), initial=0.0))
    assert found[3] == 0.1


@pytest.mark.parametrize("ddof", [0, 1])
@MODEST
@given(rows=TAIL)
def test_tail_std_equals_its_twin(ddof: int, rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows)
    found = rolling.tail_std(values, ddof)
    for place in range(values.shape[1]):
        series = values[:, place].tolist()
        close(found[[place]], [slow.std(series, ddof)], np.nanmax(np.abs(series), initial=0.0))
    assert len(rows) == ddof or found[3] == 0.0


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, -1e-9, 2.675, 1e-300, 1e300])
@pytest.mark.parametrize("bars", [2, 3, 7, 20, 100])
def test_equal_values_have_exactly_themselves_as_mean_and_no_deviation(value: float, bars: int) -> None:
    values = np.full((bars, 3), value)
    values[0, 1] = math.nan
    assert rolling.tail_mean(values).tolist() == [value] * 3
    assert rolling.tail_std(values)[[0, 2]].tolist() == [0.0, 0.0]


def test_nothing_has_no_mean_and_one_value_no_sample_deviation() -> None:
    values = np.array([[math.nan, math.nan], [math.nan, 4.0]])
    assert same(rolling.tail_mean(values), np.array([math.nan, 4.0]))
    assert same(rolling.tail_std(values), np.array([math.nan, math.nan]))
    assert same(rolling.tail_std(values, ddof=0), np.array([math.nan, 0.0]))


@pytest.mark.parametrize("shape", [(400, 200), (7, 2), (33, 1), (240, 5, 3), (3, 1, 1)])
def test_tail_sum_adds_row_after_row(shape: tuple[int, ...]) -> None:
    values = RANDOM.standard_normal(shape) * 10.0 ** RANDOM.integers(-9, 9, shape)
    total = np.zeros(shape[1:])
    for row in values:
        total = total + row
    assert same(rolling.tail_sum(values), total)
    # However the array lies in memory.
    assert same(rolling.tail_sum(np.asfortranarray(values)), total)


@pytest.mark.parametrize("kernel", [rolling.tail_sum, rolling.tail_mean, rolling.tail_std])
def test_a_tail_alone_is_the_same_tail_in_a_panel(kernel: Callable[[Floats], Floats]) -> None:
    values = np.random.default_rng(1).random((20, 40))
    together = kernel(values)
    alone = [kernel(np.ascontiguousarray(values[:, [column]]))[0] for column in range(40)]
    assert together.tolist() == alone


@pytest.mark.parametrize("kernel", [rolling.tail_sum, rolling.tail_mean, rolling.tail_std])
def test_a_tail_does_not_depend_on_how_its_array_lies_in_memory(kernel: Callable[[Floats], Floats]) -> None:
    values = np.random.default_rng(2).random((20, 40))
    assert kernel(values).tolist() == kernel(np.asfortranarray(values)).tolist()


def bar_series(seed: int) -> list[Series]:
    """Walks and flats of many lengths, in the order of a panel."""
    lengths = (90, 90, 64, 21, 20, 9, 2, 1)
    found = [panels.walk(f"W{i}", length, 50 * seed + i, decimals=2) for i, length in enumerate(lengths)]
    return sorted([*found, panels.flat("FLAT", 50)], key=lambda one: (-len(one), one.symbol))


def lists(series: Series, *names: str) -> list[list[float]]:
    return [series.fields[name].tolist() for name in names]


def slow_ranges(series: Series) -> list[float]:
    return slow.true_range(*lists(series, "high", "low", "close"))


BARS: dict[str, tuple[Callable[[Panel], Floats], Callable[[Series], list[float]]]] = {
    "true_range": (bars.true_range, slow_ranges),
    "average_true_range": (lambda p: bars.average_true_range(p, 14), lambda s: slow.wilder(slow_ranges(s), 14)),
    "close_mean": (lambda p: bars.close_mean(p, 20), lambda s: slow.moving_mean(lists(s, "close")[0], 20)),
    "typical_price": (
        bars.typical_price,
        lambda s: [math.fsum(bar) / 3 for bar in zip(*lists(s, "high", "low", "close"), strict=True)],
    ),
    "changes": (lambda p: bars.changes(p.close), lambda s: slow.changes(lists(s, "close")[0])),
    "gains": (
        lambda p: bars.gains_and_losses(p.close)[0],
        lambda s: [0.0, *(max(change, 0.0) for change in slow.changes(lists(s, "close")[0])[1:])],
    ),
    "losses": (
        lambda p: bars.gains_and_losses(p.close)[1],
        lambda s: [0.0, *(max(-change, 0.0) for change in slow.changes(lists(s, "close")[0])[1:])],
    ),
}


@pytest.mark.parametrize("name", BARS)
@pytest.mark.parametrize("seed", range(4))
def test_bar_arithmetic_equals_its_twin(name: str, seed: int) -> None:
    kernel, twin = BARS[name]
    series = bar_series(seed)
    panel = panels.panel_of(series)
    found = kernel(panel)
    assert found.shape == (10 if name == "close_mean" else panel.rows, panel.series)
    for place, one in enumerate(series):
        own = found[-int(panel.lengths[place]) :, place]
        close(own, twin(one)[-len(own) :], size=200.0)
        assert same(own, kernel(panels.panel_of([one]))[:, 0])
        if name not in ("gains", "losses"):
            assert np.isnan(found[: -len(own), place]).all()


@pytest.mark.parametrize("name", ["true_range", "average_true_range", "close_mean", "typical_price"])
def test_what_indicators_share_is_computed_once_and_cannot_be_written(name: str) -> None:
    panel = panels.panel_of(bar_series(1))
    found = BARS[name][0](panel)
    assert np.shares_memory(BARS[name][0](panel), found)
    with pytest.raises(ValueError, match="read-only"):
        found[-1] = 0.0


def test_different_periods_are_not_taken_for_each_other() -> None:
    panel = panels.panel_of(bar_series(2))
    assert not same(bars.average_true_range(panel, 10), bars.average_true_range(panel, 14))
    assert not same(bars.close_ema(panel, 7), bars.close_ema(panel, 21))


@pytest.mark.parametrize("together", [(), (2, 9, 34, 99)], ids=["alone", "among others"])
@pytest.mark.parametrize("period", [2, 9, 34, 99])
def test_close_ema_is_the_newest_two_rows_of_its_twin(period: int, together: tuple[int, ...]) -> None:
    series = bar_series(2)
    panel = panels.panel_of(series)
    panel.expect(bars.close_ema, together)
    found = bars.close_ema(panel, period)
    assert found.shape == (2, panel.series)
    assert np.shares_memory(bars.close_ema(panel, period), found)
    for place, one in enumerate(series):
        own = slow.ema(lists(one, "close")[0], 2 / (period + 1))[-2:]
        close(found[-len(own) :, place], own, size=200.0)


def test_turnover_is_that_of_the_newest_bar_and_zero_where_there_is_none() -> None:
    walk = panels.walk("A", 5, 1)
    panel = panels.panel_of([walk, panels.sparse(walk, 1, "quote_volume").called("B"), walk.tail(1).called("C")])
    newest = float(walk.fields["quote_volume"][-1])
    assert bars.turnover(panel).tolist() == [newest, 0.0, newest]


@MODEST
@given(columns=many_series(st.integers(-3, 3).map(float)), half=st.integers(1, 6))
def test_pivots_equal_their_twin(columns: Columns, half: int) -> None:
    values, first = panels.ragged(columns)
    highs, lows = pivots.pivot_highs(values, half), pivots.pivot_lows(values, half)
    for place, series in enumerate(columns):
        start = first[place]
        assert highs[start:, place].tolist() == slow.pivots(series, half, 1)
        assert lows[start:, place].tolist() == slow.pivots(series, half, -1)
        assert not highs[:start, place].any()
        assert not lows[:start, place].any()


@MODEST
@given(marks=st.lists(st.tuples(*[st.booleans()] * 4), min_size=1, max_size=20), count=st.integers(1, 6))
def test_newest_finds_the_last_marks(marks: list[tuple[bool, ...]], count: int) -> None:
    marked = np.array(marks)
    found = pivots.newest(marked, count)
    assert found.shape == (count, 4)
    values = np.arange(marked.size, dtype=np.float64).reshape(marked.shape)
    picked = pivots.pick(values, found)
    for place in range(4):
        rows = slow.newest(marked[:, place].tolist(), count)
        assert found[:, place].tolist() == rows
        expected = np.array([values[row, place] if row >= 0 else math.nan for row in rows])
        assert same(picked[:, place], expected)


@MODEST
@given(events=st.lists(st.tuples(*[st.sampled_from([0, 0, 0, 1, -1])] * 3), min_size=1, max_size=30))
def test_held_is_the_last_event(events: list[tuple[int, ...]]) -> None:
    found = recursions.held(np.array(events))
    for place in range(3):
        assert found[:, place].tolist() == slow.held([row[place] for row in events])
