"""Rounding against Python's round, NumPy's round and exact decimals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from candlemill.indicators.contract import PRICE_ROUNDING, Rounding
from candlemill.indicators.rounding import rounded
from tests import slow

MODEST = settings(max_examples=200, deadline=None, derandomize=True, database=None)

#: Values whose product with a power of ten is at, or next to, a tie.
NEAR_TIES = st.builds(
    lambda whole, decimals, ulps: _moved((whole + 0.5) / 10**decimals, ulps),
    st.integers(-(10**9), 10**9),
    st.integers(0, 12),
    st.integers(-2, 2),
)
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e6, 1e6), st.floats(-1e-3, 1e-3), NEAR_TIES
)
DECIMALS = st.integers(0, 12)


def _moved(value: float, ulps: int) -> float:
    for _ in range(abs(ulps)):
        value = math.nextafter(value, math.copysign(math.inf, ulps))
    return value


def one(value: float, rounding: Rounding) -> float:
    return float(rounded(np.array([value]), rounding)[0])


def same(actual: float, expected: float) -> bool:
    """Equal, down to the sign of a zero."""
    return actual == expected and math.copysign(1, actual) == math.copysign(1, expected)


@MODEST
@given(value=VALUES, decimals=DECIMALS)
@example(2.675, 2)
@example(0.5, 0)
@example(1.5, 0)
@example(2.5, 0)
@example(-0.5, 0)
@example(1e-7, 6)
@example(5e-7, 6)
@example(1e300, 6)
@example(1e300, 10)
@example(-1e300, 12)
@example(-0.0, 3)
@example(-1e-9, 4)
@example(0.125, 2)
@example(1.005, 2)
@example(4503599627370497.5, 0)
@example(9007199254740993.0, 6)
@example(5e-324, 6)
@example(1.7976931348623157e308, 12)
def test_exact_rounding_is_that_of_python(value: float, decimals: int) -> None:
    assert same(one(value, Rounding(decimals)), round(value, decimals))
    assert same(one(value, Rounding(decimals)), slow.rounded(value, decimals))


@MODEST
@given(value=VALUES, decimals=DECIMALS)
@example(2.675, 2)
@example(1.005, 2)
@example(-0.5, 0)
@example(-0.0, 3)
def test_scaled_rounding_is_that_of_numpy(value: float, decimals: int) -> None:
    found = one(value, Rounding(decimals, scaled=True))
    if math.isfinite(value * 10.0**decimals):
        assert same(found, float(np.round(value, decimals)))
    else:
        assert same(found, value)


def test_the_two_kinds_differ_at_ties_of_the_product() -> None:
    # 2.675 lies below the tie, its product with 100 on it.
    assert one(2.675, Rounding(2)) == 2.67
    assert one(2.675, Rounding(2, scaled=True)) == 2.68


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("significant", [None, 6])
def test_what_is_no_number_stays(scaled: bool, significant: int | None) -> None:
    values = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0])
    found = rounded(values, Rounding(6, significant, scaled))
    assert np.array_equal(found, values, equal_nan=True)
    assert np.signbit(found[3:]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0000123456, 0.0000123456),
        (123.4567891, 123.456789),
        (0.00001234567, 0.0000123457),
        (-0.00001234567, -0.0000123457),
        (0.000000123456789, 0.000000123457),
        (0.1234567891, 0.123457),
        (0.01234567891, 0.0123457),
        (0.99999951, 1.0),
        (0.0999999951, 0.1),
        (0.1, 0.1),
        (1.0, 1.0),
        (0.001, 0.001),
        (1e-6, 1e-6),
        (1.21e-6, 1.21e-6),
        (9.9999999e-6, 1e-5),
        (64000.12345678, 64000.123457),
        (1.00000049, 1.0),
        (1e-12, 1e-12),
    ],
)
def test_a_small_price_keeps_six_significant_digits(value: float, expected: float) -> None:
    assert one(value, PRICE_ROUNDING) == expected
    assert one(value, replace(PRICE_ROUNDING, scaled=True)) == expected


SMALL = st.builds(
    lambda digits, exponent, sign: sign * float(f"{digits}e{exponent}"),
    st.integers(1, 10**9),
    st.integers(-25, -4),
    st.sampled_from([1, -1]),
)


@MODEST
@given(value=st.one_of(SMALL, st.floats(-10, 10)).filter(lambda v: abs(v) >= 1e-16))
@example(0.000999999999999999)
@example(9.999995e-7)
@example(1e-5)
@example(1e-16)
def test_significant_digits_are_those_of_the_exact_decimal(value: float) -> None:
    assert same(one(value, Rounding(6, significant=6)), slow.rounded(value, 6, 6))


@MODEST
@given(value=st.one_of(SMALL, NEAR_TIES, st.floats(-2, 2)).filter(lambda v: abs(v) >= 1e-16))
@example(0.995)
@example(0.994999999)
@example(-0.995)
@example(0.996)
@example(1.005)
@example(12.3456)
def test_the_digits_count_where_a_value_does_not_round_to_one(value: float) -> None:
    assert same(one(value, Rounding(2, significant=6)), slow.rounded(value, 2, 6))


@MODEST
@given(value=st.floats(-1e-16, 1e-16).filter(lambda v: abs(v) > 1e-290))
def test_tiny_values_keep_their_digits_too(value: float) -> None:
    # Beyond 22 decimals a power of ten is no double any more, so the last bit may differ.
    assert math.isclose(one(value, Rounding(6, significant=6)), slow.rounded(value, 6, 6), rel_tol=1e-14)


@MODEST
@given(value=st.floats(1, 1e12), scaled=st.booleans())
def test_a_price_above_one_is_rounded_to_its_decimals_alone(value: float, scaled: bool) -> None:
    assert one(value, Rounding(6, 6, scaled)) == one(value, Rounding(6, None, scaled))


@MODEST
@given(value=VALUES, decimals=DECIMALS, significant=st.sampled_from([None, 6]), scaled=st.booleans())
def test_a_rounded_value_stays(value: float, decimals: int, significant: int | None, scaled: bool) -> None:
    if 0 < abs(value) < 1e-280:
        value = 0.0
    once = one(value, Rounding(decimals, significant, scaled))
    if significant is None or abs(once) > 1e-16:
        assert one(once, Rounding(decimals, significant, scaled)) == once


def test_arrays_of_any_shape_are_rounded_cell_by_cell_and_left_as_they_are() -> None:
    values = np.random.default_rng(1).standard_normal((3, 4, 5)) * 10.0 ** np.arange(-9, 11, 4)
    values[0, 0, 0], values[1, 1, 1] = math.nan, 2.675
    values.flags.writeable = False
    for rounding in (Rounding(2), Rounding(6, significant=6), Rounding(2, scaled=True)):
        found = rounded(values, rounding)
        assert found.shape == values.shape
        cells = [one(float(value), rounding) for value in values.flat]
        assert np.array_equal(found.ravel(), np.array(cells), equal_nan=True)
    assert rounded(np.empty(0), Rounding(2)).shape == (0,)


def test_a_rounding_says_what_it_keeps() -> None:
    assert str(Rounding(4)) == "4 decimals"
    assert str(Rounding(6, significant=6)) == "6 decimals or 6 significant digits"
