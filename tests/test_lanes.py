"""Windows of a series: every kernel's lanes against its NumPy implementation, bit for bit; and arrays that slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from candlemill.indicators import patterns
from candlemill.indicators.kernels import bars, candles, chains, gaps, pivots, profiles, recursions, rolling
from candlemill.indicators.kernels.compiled import compiled, quotient
from candlemill.indicators.kernels.dispatch import OVER_PANELS
from candlemill.indicators.windows import Sliding, Windows
from tests import test_history

if TYPE_CHECKING:
    from collections.abc import Callable

    from candlemill.indicators.contract import Array, Panel
    from tests.panels import Series

pytestmark = pytest.mark.usefixtures("lanes")
LOOKBACKS = (400, 300, 120, 64)
HOSTILE = test_history.hostile(600)
PERIODS = np.array([7.0, 14.0, 21.0])
#: What each kernel with lanes is asked over a panel, by its name; several questions where its arguments decide the way.
ASKED: dict[str, list[Callable[[Panel], Any]]] = {
    "ema": [
        lambda p: recursions.ema(p.close, 2 / 13, p.first),
        lambda p: recursions.ema(p.close, recursions.span(PERIODS[:, None]), p.first, rows=2),
        lambda p: recursions.ema(np.stack([p.high, p.low], axis=1), 0.3, p.first, rows=1),
    ],
    "fading_sums": [lambda p: recursions.fading_sums(np.nan_to_num(p.taker_buy_volume), 1 - 1 / np.arange(1.0, 34.0))],
    "weighted_mean": [
        lambda p: recursions.weighted_mean(p.close, 2 / 15, p.first, rows=1),
        lambda p: recursions.weighted_mean(p.close, 2 / 15, p.first),
    ],
    "smoothed": [
        lambda p: recursions.smoothed(p.close, 50, p.first, rows=1),
        lambda p: recursions.smoothed(p.close, 200, p.first, rows=1),
        lambda p: recursions.smoothed(p.close, 5, p.first),
    ],
    "moving_sum": [
        lambda p: rolling.moving_sum(p.close, 20, p.first, rows=10),
        lambda p: rolling.moving_sum(p.close, 200, p.first, rows=1),
        lambda p: rolling.moving_sum(np.stack([p.volume, p.close * p.volume], axis=1), 50, p.first, rows=1),
    ],
    "tail_sum": [
        lambda p: rolling.tail_sum(p.volume[-50:]),
        lambda p: rolling.tail_sum(p.taker_buy_volume),
        lambda p: rolling.tail_sum(np.stack([p.close, p.volume], axis=1)),
    ],
    "tail_mean_std": [
        lambda p: rolling.tail_mean_std(p.close, 0),
        lambda p: rolling.tail_mean_std(p.taker_buy_volume[-20:], 1),
    ],
    "tail_products": [
        lambda p: rolling.tail_products(p.volume, p.close),
        lambda p: rolling.tail_products(p.taker_buy_volume[-60:], (0 * p.taker_buy_volume + p.low)[-60:]),
    ],
    "running_sums": [
        lambda p: rolling.running_sums(p.volume, np.repeat([[p.rows - 1], [-1], [0], [p.rows - 30]], p.series, axis=1)),
        lambda p: rolling.running_sums(p.volume, np.arange(p.series)[None] % p.rows),
    ],
    "oldest": [lambda p: rolling.oldest(p.close, 30, p.first), lambda p: rolling.oldest(p.close, 500, p.first)],
    "newest_highs": [
        lambda p: pivots.newest_highs(p.high, 5, 2),
        lambda p: pivots.newest_highs(p.high, 20, 3),
        lambda p: pivots.newest_highs(p.high[-20:], 20, 1),
    ],
    "newest_lows": [lambda p: pivots.newest_lows(p.low, 5, 1), lambda p: pivots.newest_lows(p.low[-50:], 2, 40)],
    "newest": [lambda p: pivots.newest(p.close > p.open, 1), lambda p: pivots.newest(p.close == p.open, 4)],
    "oldest_marked": [
        lambda p: pivots.oldest_marked(p.close > p.open),
        lambda p: pivots.oldest_marked(p.close == p.open),
    ],
    "relative_changes": [
        lambda p: gaps.relative_changes(p.close),
        lambda p: gaps.relative_changes(np.where(p.taker_buy_volume == 0, np.nan, p.taker_buy_volume)),
    ],
    "count_up_to": [
        lambda p: gaps.count_up_to(p.close, p.close[-1]),
        lambda p: gaps.count_up_to(p.taker_buy_volume, p.volume[-1]),
    ],
    "products_with_places": [
        lambda p: gaps.products_with_places(p.close),
        lambda p: gaps.products_with_places(p.taker_buy_volume),
    ],
    "streak": [
        lambda p: gaps.streak(np.sign(p.close - p.open), p.close > 0),
        lambda p: gaps.streak(np.where(p.close > p.open, 1, -1), ~np.isnan(p.taker_buy_volume)),
        lambda p: gaps.streak(np.where(p.high > p.low, 1, 0), p.close > p.open),
    ],
    "streak_of_changes": [
        lambda p: gaps.streak_of_changes(p.close),
        lambda p: gaps.streak_of_changes(p.taker_buy_volume),
    ],
    "line": [lambda p: lines(p, falling=True), lambda p: lines(p, falling=False)],
    "convergence": [lambda p: chains.convergence(p.close, 12, 26, 9, p.first)],
    "smoothed_twice": [
        lambda p: chains.smoothed_twice(p.close, 1 / 3, 3, p.first),
        lambda p: chains.smoothed_twice((p.close - p.low) / (p.high - p.low), 1 / 3, 3, p.first),
        lambda p: chains.smoothed_twice(p.taker_buy_volume, 1 / 5, 4, p.first),
    ],
    "rises_and_falls": [lambda p: chains.rises_and_falls(p.close, 1 / 14, p.first)],
    "mean_strength": [
        lambda p: chains.mean_strength(p.close, 1 - 1 / np.arange(2.0, 34.0)),
        lambda p: chains.mean_strength(p.close[-2:], 1 - 1 / np.arange(2.0, 5.0)),
    ],
    "weighted_rises_and_falls": [
        lambda p: chains.weighted_rises_and_falls(p.close, PERIODS, 1, 50, p.first),
        lambda p: chains.weighted_rises_and_falls(p.close, PERIODS, 2, 500, p.first),
    ],
    "average_true_range": [
        lambda p: bars.average_true_range(p, 14),
        lambda p: bars.average_true_range(p, 10, 1),
        lambda p: bars.average_true_range(p, 14, 30),
    ],
    "usual_true_range": [lambda p: chains.usual_true_range(p, 14, 30), lambda p: chains.usual_true_range(p, 3, 7)],
    "range_of_average_true_range": [lambda p: chains.range_of_average_true_range(p, 2 / 15)],
    "supertrend": [lambda p: chains.supertrend(p, 10, 3.0)],
    "directional_movement": [lambda p: chains.directional_movement(p, 14)],
    "smoothed_heikin_ashi": [lambda p: chains.smoothed_heikin_ashi(p, 10, 5)],
    "zero_lag_crosses": [
        lambda p: chains.zero_lag_crosses(p, 70, 1.2, 3),
        lambda p: chains.zero_lag_crosses(p, 9, 0.4, 2),
    ],
    "zero_lag_states": [
        lambda p: chains.zero_lag_states(p, 15, 1.2, 3),
        lambda p: chains.zero_lag_states(p, 9, 0.4, 2),
    ],
    "volume_profile": [lambda p: profile(p, 48, 0.7), lambda p: profile(p, 5, 1.5)],
    "candlesticks": [lambda p: candles.candlesticks(p, tuple(patterns.CANDLES))],
}  # fmt: skip


def lines(panel: Panel, *, falling: bool) -> Any:
    series = np.arange(panel.series)
    row = series * 7 % (panel.rows - 5)
    step = np.where(series % 3 == 0, -1.0, 1.0) * panel.close[-1] * 1e-4 * (series % 5)
    value = panel.close[-1] * np.where(falling, 1.1, 0.9)
    return pivots.line(panel.close, panel.first, series, row, value, step, falling=falling)


def profile(panel: Panel, bins: int, wanted: float) -> Any:
    low, high = np.fmin.reduce(panel.low, axis=0), np.fmax.reduce(panel.high, axis=0)
    return profiles.volume_profile(panel.close, panel.volume, low, high, bins, wanted)


def windows(series: Series, rows: int) -> Windows:
    width = len(series) - rows + 1
    return Windows("5m", [series.symbol] * width, rows, series.time, series.fields, series.time[-width:], {})


def parts(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple) else [found]


def same_bits(one: Array, other: Array) -> bool:
    """Whether all numbers are the same bit for bit; NaN is NaN."""
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    missing = np.isnan(one)
    mine, others = (np.where(missing, 0.0, values).view(np.int64) for values in (one, other))
    return bool((missing == np.isnan(other)).all()) and np.array_equal(mine, others)


def test_every_kernel_with_lanes_is_asked() -> None:
    assert ASKED.keys() == OVER_PANELS.keys()


@pytest.mark.parametrize("rows", LOOKBACKS)
@pytest.mark.parametrize("name", ASKED)
def test_lanes_equal_the_kernel_over_the_same_windows(name: str, rows: int) -> None:
    for series in HOSTILE:
        sliding = windows(series, rows)
        panel = sliding.as_panel()
        for ask in ASKED[name]:
            with np.errstate(all="ignore"):
                lanes, numpy = parts(ask(sliding)), parts(ask(panel))
            assert len(lanes) == len(numpy)
            for one, other in zip(lanes, numpy, strict=True):
                assert one.shape == other.shape
                assert same_bits(one, other), (series.symbol, name)


@compiled("f1 f F1")
def quotients(values, divisor, out):  # type: ignore[no-untyped-def]
    for k in range(len(values)):
        out[k] = quotient(values[k], divisor)


def test_a_quotient_without_a_division_is_that_of_one() -> None:
    random = np.random.default_rng()
    edges = [1.0, 2.0, 3.0, 7.0, 10.0, 1 / 3, 1 + 2**-52, 2 - 2**-52, 1.5, 199.0]
    for divisor in [*edges, *np.ldexp(random.uniform(1, 2, 500), random.integers(-40, 40, 500)).tolist()]:
        values = np.ldexp(random.uniform(-2, 2, 4000), random.integers(-600, 600, 4000))
        # Of these the quotient is as near to the middle of two doubles as can be.
        middles = values / divisor
        with np.errstate(over="ignore"):
            near = [values, np.nextafter(middles, np.inf) * divisor / 2 + middles * divisor / 2, np.zeros(3)]
        for asked in near:
            found = np.empty(len(asked))
            quotients(asked, divisor, found)
            assert same_bits(found, asked / divisor), divisor


@pytest.mark.parametrize("scale", [1e-290, 1e250])
def test_numbers_that_no_quotient_is_exact_of_are_divided(scale: float) -> None:
    for series in HOSTILE[:4]:
        series = series.having(close=series.fields["close"] * scale)
        sliding = windows(series, 120)
        for name in ("weighted_mean", "smoothed", "weighted_rises_and_falls"):
            for ask in ASKED[name]:
                with np.errstate(all="ignore"):
                    lanes, numpy = parts(ask(sliding)), parts(ask(sliding.as_panel()))
                for one, other in zip(lanes, numpy, strict=True):
                    assert same_bits(one, other), (series.symbol, name)


SLIDING: dict[str, Callable[[Panel], Any]] = {
    "a row": lambda p: p.close[-1],
    "some rows": lambda p: p.close[3:-2],
    "rows of some": lambda p: p.close[-20:][1:][:-1][2],
    "arithmetic": lambda p: (p.high + p.low) / 2 - p.close,
    "neighbours": lambda p: np.abs(p.close[1:] - p.close[:-1]),
    "other shapes": lambda p: p.close[-5:] - p.close[-1],
    "other lengths": lambda p: p.close[-5:] > p.open[:5],
    "where": lambda p: np.where(p.close > p.open, p.volume, 0.0),
    "where, mixed": lambda p: np.where(p.close[-1] > p.open[-1], p.volume[-3:], 0.0),
    "select": lambda p: np.select([p.close > p.open, p.close < p.open], [1, -1], 0),
    "nan_to_num": lambda p: np.nan_to_num(p.taker_buy_volume),
    "clip": lambda p: np.clip(p.close, 99.0, 101.0),
    "diff": lambda p: np.diff(p.close, axis=0),
    "stack": lambda p: np.stack([p.close, p.open], axis=1)[-7:, 1],
    "stack, mixed": lambda p: np.stack([p.close[-1], p.close[-2]]),
    "extremes": lambda p: (np.fmax.reduce(p.high, axis=0), np.fmin.reduce(p.low[-30:], axis=0)),
    "extremes with NaN": lambda p: (np.fmax.reduce(p.taker_buy_volume), np.maximum.reduce(p.taker_buy_volume)),
    "counts": lambda p: ((p.close > p.open).sum(axis=0), (p.close > p.open).any(axis=0), (p.high >= p.low).all(axis=0)),
    "all counts": lambda p: int((p.close > p.open).sum()),
    "running": lambda p: np.maximum.accumulate(p.close, axis=0),
    "missing": lambda p: np.isnan(p.taker_buy_volume).sum(axis=0),
    "places": lambda p: np.take_along_axis(p.time, np.arange(p.series)[None] % p.rows, axis=0),
    "a mask": lambda p: p.close[p.close > p.open],
    "new array": lambda p: np.full_like(p.close, 3.0),
    "copied and changed": lambda p: np.negative(p.close.copy(), out=np.empty(p.close.shape)),
}  # fmt: skip


@pytest.mark.parametrize("name", SLIDING)
def test_an_array_that_slides_is_the_array_of_its_windows(name: str) -> None:
    for series in HOSTILE:
        sliding = windows(series, 64)
        with np.errstate(all="ignore"):
            one, other = parts(SLIDING[name](sliding)), parts(SLIDING[name](sliding.as_panel()))
        for found, wanted in zip(one, other, strict=True):
            assert np.shape(found) == np.shape(wanted)
            assert same_bits(np.asarray(found), np.asarray(wanted)), (series.symbol, name)


def test_what_is_computed_place_by_place_is_computed_once_per_bar() -> None:
    bars_ = windows(HOSTILE[0], 64)
    for found in (bars_.close[1:] - bars_.close[:-1], np.where(bars_.close > 0, bars_.close, np.nan), bars_.close[-5:]):
        assert isinstance(found, Sliding)
        assert found.body.shape == (len(HOSTILE[0]) - 64 + len(found),)


def test_the_windows_of_a_series_cannot_be_written_and_are_no_copy() -> None:
    bars_ = windows(HOSTILE[0], 64)
    assert np.shares_memory(bars_.close, HOSTILE[0].fields["close"])
    for array in (bars_.close, bars_.close[-5:], bars_.high - bars_.low):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
